"""Stores batches on the disk until the types of their columns are known."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from rowkeep.formats.arrow import ARROW_TYPES
from rowkeep.model.types.records import RECORDS

# What was put aside in the first type can still become the second.
_CASTABLE = {
    (ARROW_TYPES[type_], ARROW_TYPES[record.wider]) for type_, record in RECORDS.items() if record.wider
}


class Aside:
    """Batches in files, a new one whenever the type of a column changes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._paths: list[Path] = []
        self._schemas: list[pa.Schema] = []
        self._writer: Any = None

    def add(self, arrays: Sequence[pa.Array]) -> None:
        """Stores one batch."""
        if self._schemas:
            arrays = [
                pa.nulls(len(array), field.type) if pa.types.is_null(array.type) else array
                for array, field in zip(arrays, self._schemas[-1], strict=True)
            ]
        schema = pa.schema([(str(index), array.type) for index, array in enumerate(arrays)])
        if not self._schemas or schema != self._schemas[-1]:
            self._begin(schema)
        self._writer.write_batch(pa.RecordBatch.from_arrays(list(arrays), schema=schema))

    def _begin(self, schema: pa.Schema) -> None:
        self._close()
        path = self._folder / f"aside-{len(self._paths)}.arrow"
        self._paths.append(path)
        self._schemas.append(schema)
        self._writer = pa.ipc.new_stream(str(path), schema)

    def _close(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def can_become(self, types: Sequence[pa.DataType]) -> bool:
        """Returns whether all stored batches can be read in these types."""
        return all(
            field.type == type_ or pa.types.is_null(field.type) or (field.type, type_) in _CASTABLE
            for schema in self._schemas
            for field, type_ in zip(schema, types, strict=True)
        )

    def can_be_followed_by(self, arrays: Sequence[pa.Array]) -> bool:
        """Returns whether the batches stored last can be read in the types of these arrays."""
        if self._schemas and len(self._schemas[-1]) != len(arrays):
            return False
        return not self._schemas or all(
            pa.types.is_null(array.type)
            or field.type == array.type
            or pa.types.is_null(field.type)
            or (field.type, array.type) in _CASTABLE
            for field, array in zip(self._schemas[-1], arrays, strict=True)
        )

    def finish(self) -> "Aside":
        """Ends the writing."""
        self._close()
        return self

    def discard(self) -> None:
        """Removes the stored batches."""
        self._close()
        for path in self._paths:
            path.unlink(missing_ok=True)

    def batches(self, types: Sequence[pa.DataType]) -> Iterator[pa.RecordBatch]:
        """Yields all batches in these types."""
        wanted = pa.schema([(str(index), type_) for index, type_ in enumerate(types)])
        for path in self._paths:
            with pa.OSFile(str(path), "rb") as file, pa.ipc.open_stream(file) as reader:
                for batch in reader:
                    yield batch.cast(wanted)
