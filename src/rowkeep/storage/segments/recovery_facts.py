"""Reads what a segment's file says of itself (model/recovery.py), without a catalog.

Nothing here is checked against anything: whoever takes it for true has to.
"""

import io
import json
import os
from contextlib import closing

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from rowkeep.formats.arrow import ARROW_TYPES
from rowkeep.model.recovery import SegmentFacts
from rowkeep.model.schema import Variable
from rowkeep.model.types import VariableType
from rowkeep.storage.base import SegmentStore, StoredFile
from rowkeep.storage.segments.parquet import RECOVERY_FACTS, ROWS_FACTS

# Of types with one Arrow type the first: text may be a string or a geography, and is a string then.
_TYPE_OF_ARROW = {arrow: type_ for type_, arrow in reversed(ARROW_TYPES.items())} | {
    pa.string(): VariableType.STRING
}


class UnreadableSegmentError(Exception):
    """The file is not a segment, or it is damaged. The text says why."""


def segment_facts(store: SegmentStore, name: str) -> SegmentFacts:
    """Returns what a file says of itself. Raises UnreadableSegmentError.

    A file from before segments said this tells its upload, its first row, its version and its columns; its
    sizes are those of its columns.
    """
    try:
        with closing(_UncheckedFile(store.get(name))) as file:
            parquet = pq.ParquetFile(pa.PythonFile(file, "r"))
            said = (parquet.metadata.metadata or {}).get(RECOVERY_FACTS)
            found = (
                _facts_of_columns(parquet) if said is None else msgspec.json.decode(said, type=SegmentFacts)
            )
    except (pa.ArrowException, OSError, ValueError, LookupError) as error:
        raise UnreadableSegmentError(f"segments/{name} cannot be read: {error}") from error
    if found.row_count != parquet.metadata.num_rows:
        raise UnreadableSegmentError(f"segments/{name} holds other rows than it says")
    return found


def _facts_of_columns(parquet: pq.ParquetFile) -> SegmentFacts:
    """Returns the facts of an old segment, whose file says only which rows it holds."""
    metadata = parquet.metadata
    told = json.loads((metadata.metadata or {})[ROWS_FACTS])
    groups = [metadata.row_group(index) for index in range(metadata.num_row_groups)]
    return SegmentFacts(
        upload_id=told["upload"],
        first_row=told["first_row"],
        row_count=metadata.num_rows,
        byte_count=sum(group.total_byte_size for group in groups),
        schema_version=told["schema"],
        variables=tuple(_variable(field) for field in parquet.schema_arrow),
        batches=b"",
        chain=None,
        place=None,
    )


def _variable(field: pa.Field) -> Variable:
    type_ = _TYPE_OF_ARROW[field.type]
    # Nobody knows of its integers whether a double can hold them all.
    return Variable(field.name, type_, inexact=type_ is VariableType.INTEGER)


class _UncheckedFile(io.RawIOBase):
    """A stored file as Arrow reads it."""

    def __init__(self, file: StoredFile) -> None:
        super().__init__()
        self._file = file
        self._position = 0

    def readable(self) -> bool:
        """Returns True: the file can be read."""
        return True

    def seekable(self) -> bool:
        """Returns True: the file can be read from any place."""
        return True

    def tell(self) -> int:
        """Returns the position of the next byte."""
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Moves to a position in the file. Returns it."""
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._file.byte_count}[whence]
        self._position = start + offset
        return self._position

    def read(self, size: int = -1) -> bytes:
        """Returns the next bytes."""
        left = self._file.byte_count - self._position
        part = self._file.read(self._position, left if size < 0 else min(size, left))
        self._position += len(part)
        return part

    def close(self) -> None:
        """Closes the file."""
        if not self.closed:
            self._file.close()
        super().close()
