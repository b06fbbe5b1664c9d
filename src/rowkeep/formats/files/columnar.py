"""Parquet and ORC. docs/files.md says what becomes of each of their types.

A row group is never held whole: Parquet's pages are read through a buffer, ORC a stripe at a time. What a
file says of itself is not believed: checksums of pages are checked where it has them, every array is
validated, and a file that lies about its lengths ends in an error of pyarrow's, or takes with it the jailed
process that reads it.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pyarrow as pa
import pyarrow.orc
import pyarrow.parquet as pq

from rowkeep.formats.files.detection import content_name
from rowkeep.formats.files.table import (
    BATCH_ROWS_MAX,
    Column,
    FileTable,
    Source,
    check_column_count,
    unreadable,
)
from rowkeep.formats.files.typed_table import TypedBatches, TypedColumns
from rowkeep.model.files import Detected, shortened

_BATCH_CELLS_MAX = 1_048_576
_BUFFER_BYTES = 1024 * 1024
_MAGIC = b"PAR1"
_ENCRYPTED_FOOTER = b"PARE"
_REASON_CHARACTERS_MAX = 200


def open_parquet(source: Source) -> FileTable:
    """A Parquet file as a table. Raises invalid_request_error."""
    _check_ends(source)
    with _told(source):
        file = pq.ParquetFile(
            source.path, buffer_size=_BUFFER_BYTES, pre_buffer=False, page_checksum_verification=True
        )
        schema = file.schema_arrow
    check_column_count(len(schema), source.options.file_name)
    leaves = _leaves(schema)

    def read(positions: Sequence[int]) -> Iterator[pa.RecordBatch]:
        wanted = [leaf for position in positions for leaf in leaves[position]]
        groups = range(file.metadata.num_row_groups)
        with _told(source):
            # By number, as two columns may have one name.
            for batch in file.reader.iter_batches(
                _batch_rows(len(schema)), row_groups=groups, column_indices=wanted, use_threads=True
            ):
                batch.validate(full=True)
                yield batch

    return _table(source, schema, read)


def open_orc(source: Source) -> FileTable:
    """An ORC file as a table. Raises invalid_request_error."""
    with _told(source):
        file = pyarrow.orc.ORCFile(source.path)
        schema = file.schema
    check_column_count(len(schema), source.options.file_name)

    def read(positions: Sequence[int]) -> Iterator[pa.RecordBatch]:
        rows = _batch_rows(len(schema))
        with _told(source):
            for stripe in range(file.nstripes):
                batch = file.read_stripe(stripe, columns=list(positions))
                batch.validate(full=True)
                for start in range(0, len(batch), rows):
                    yield batch.slice(start, rows)

    return _table(source, schema, read)


def _table(source: Source, schema: pa.Schema, read: TypedBatches) -> FileTable:
    if not len(schema):
        raise unreadable(source, "it has no column.")
    columns = [Column(field.name) for field in schema]
    return TypedColumns(source, columns, schema.types, read).table(Detected(source.type), [])


def _batch_rows(column_count: int) -> int:
    return max(1, min(BATCH_ROWS_MAX, _BATCH_CELLS_MAX // max(1, column_count)))


def _check_ends(source: Source) -> None:
    """Tells encrypted and truncated files from others, by their first and last bytes."""
    with source.path.open("rb") as file:
        head = file.read(4)
        file.seek(max(0, source.path.stat().st_size - 4))
        tail = file.read(4)
    if _ENCRYPTED_FOOTER in (head, tail):
        raise unreadable(source, "it is encrypted. Send it without encryption.")
    if head != _MAGIC:
        raise unreadable(source, f"it is {content_name(head) or 'something else'}. Give its `type`.")
    if tail != _MAGIC:
        raise unreadable(source, "it ends before its footer. Send it again.")


@contextmanager
def _told(source: Source) -> Iterator[None]:
    """Makes an error of pyarrow's one of the file."""
    try:
        yield
    except (pa.ArrowException, OSError, EOFError, UnicodeDecodeError) as error:
        reason = str(error).partition("\n")[0]
        if "encrypted" in reason.lower():
            reason = "it is encrypted. Send it without encryption"
        raise unreadable(source, f"{shortened(reason, _REASON_CHARACTERS_MAX).rstrip('.')}.") from error


def _leaves(schema: pa.Schema) -> list[list[int]]:
    """The numbers of the Parquet columns that make up each field: a record has several."""
    leaves: list[list[int]] = []
    count = 0
    for type_ in schema.types:
        width = _leaf_count(type_)
        leaves.append(list(range(count, count + width)))
        count += width
    return leaves


def _leaf_count(type_: pa.DataType) -> int:
    if isinstance(type_, pa.BaseExtensionType):
        return _leaf_count(type_.storage_type)
    if pa.types.is_dictionary(type_):
        return 1
    return sum(_leaf_count(type_.field(index).type) for index in range(type_.num_fields)) or 1
