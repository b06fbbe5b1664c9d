"""Parquet and ORC. docs/files.md says what becomes of each of their types.

A row group is never held whole: Parquet's pages are read through a buffer, ORC a stripe at a time. What a
file says of itself is not believed: checksums of pages are checked where it has them, every array is
validated, and a file that lies about its lengths ends in an error of pyarrow's, or takes with it the jailed
process that reads it.
"""

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.orc
import pyarrow.parquet as pq

from rowkeep.formats.files.detection import content_name
from rowkeep.formats.files.geoparquet import geography_texts, geometry_positions
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
    """Returns a Parquet file as a table. Raises invalid_request_error."""
    _check_ends(source)
    with _told(source):
        file = _opened(source, "ns")
        schema = file.schema_arrow
    check_column_count(len(schema), source.options.file_name)
    leaves = _leaves(schema)
    old_times = [
        leaf for leaf in range(len(file.schema)) if file.schema.column(leaf).physical_type == "INT96"
    ]
    with _told(source):
        if old_times and not _fit_nanoseconds(source, file, old_times):
            file = _opened(source, "us")
            schema = file.schema_arrow
    geometries = geometry_positions(source, schema)

    def read(positions: Sequence[int]) -> Iterator[pa.RecordBatch]:
        wanted = [leaf for position in positions for leaf in leaves[position]]
        row = 0
        for batch in _batches(source, file, wanted, _batch_rows(len(schema))):
            yield batch if not geometries else _with_texts(source, batch, positions, geometries, row)
            row += len(batch)

    types = [pa.string() if index in geometries else type_ for index, type_ in enumerate(schema.types)]
    typed = pa.schema(list(zip(schema.names, types, strict=True)))
    return _table(source, typed, read, file.metadata.num_rows, geometries)


def _opened(source: Source, unit: str) -> pq.ParquetFile:
    return pq.ParquetFile(
        source.path,
        buffer_size=_BUFFER_BYTES,
        pre_buffer=False,
        page_checksum_verification=True,
        coerce_int96_timestamp_unit=unit,
    )


def _batches(
    source: Source, file: pq.ParquetFile, leaves: Sequence[int], rows_max: int
) -> Iterator[pa.RecordBatch]:
    """Yields the columns with these numbers. Names would not do: two columns may have the same."""
    groups = range(file.metadata.num_row_groups)
    with _told(source):
        for batch in file.reader.iter_batches(
            rows_max, row_groups=groups, column_indices=list(leaves), use_threads=True
        ):
            batch.validate(full=True)
            yield batch


def _fit_nanoseconds(source: Source, file: pq.ParquetFile, leaves: Sequence[int]) -> bool:
    """Returns whether times of the oldest kind, which may lie in any year, fit 64 bits of nanoseconds."""
    exact = _batches(source, file, leaves, BATCH_ROWS_MAX)
    coarse = _batches(source, _opened(source, "us"), leaves, BATCH_ROWS_MAX)
    for one, other in zip(exact, coarse, strict=True):
        for nanoseconds, microseconds in zip(one.columns, other.columns, strict=True):
            if pa.types.is_timestamp(nanoseconds.type):
                difference = pc.subtract(
                    nanoseconds.cast(pa.timestamp("us"), safe=False).cast(pa.int64()),
                    microseconds.cast(pa.int64()),
                )
                if pc.any(pc.greater(pc.abs(difference), 1)).as_py():
                    return False
    return True


def _with_texts(
    source: Source,
    batch: pa.RecordBatch,
    positions: Sequence[int],
    geometries: Collection[int],
    first_row: int,
) -> pa.RecordBatch:
    """Returns a batch with its geometries as WKT."""
    arrays = [
        geography_texts(source, name, array, first_row) if position in geometries else array
        for position, name, array in zip(positions, batch.schema.names, batch.columns, strict=True)
    ]
    return pa.RecordBatch.from_arrays(arrays, names=batch.schema.names)


def open_orc(source: Source) -> FileTable:
    """Returns an ORC file as a table. Raises invalid_request_error."""
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

    return _table(source, schema, read, file.nrows)


def _table(
    source: Source,
    schema: pa.Schema,
    read: TypedBatches,
    row_count: int,
    geometries: Collection[int] = (),
) -> FileTable:
    if not len(schema):
        raise unreadable(source, "it has no column.")
    columns = [Column(field.name) for field in schema]
    typed = TypedColumns(source, columns, schema.types, read, geometries)
    return typed.table(Detected(source.type), [], row_count)


def _batch_rows(column_count: int) -> int:
    return max(1, min(BATCH_ROWS_MAX, _BATCH_CELLS_MAX // max(1, column_count)))


def _check_ends(source: Source) -> None:
    """Raises invalid_request_error for encrypted and truncated files, by their first and last bytes."""
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
    """Turns an error of pyarrow into an error of the file."""
    try:
        yield
    except (pa.ArrowException, OSError, EOFError, UnicodeDecodeError) as error:
        reason = str(error).partition("\n")[0]
        if "encrypted" in reason.lower():
            reason = "it is encrypted. Send it without encryption"
        raise unreadable(source, f"{shortened(reason, _REASON_CHARACTERS_MAX).rstrip('.')}.") from error


def _leaves(schema: pa.Schema) -> list[list[int]]:
    """Returns the numbers of the Parquet columns that make up each field: a record has several."""
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
