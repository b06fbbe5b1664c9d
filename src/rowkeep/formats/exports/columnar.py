"""Parquet and Arrow files. Labels are metadata of the fields."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from rowkeep.formats.exports.labels import labelled_schema
from rowkeep.model.exports import ExportOptions
from rowkeep.model.schema import Schema

# Readers skip row groups by their statistics, and read several at a time.
GROUP_ROWS_MAX = 262_144
GROUP_CELLS_MAX = 4_194_304
GROUP_BYTES_MAX = 32 * 1024 * 1024


class ParquetFile:
    """Writes a Parquet file, in row groups of some MiB."""

    def __init__(self, path: Path, schema: Schema, options: ExportOptions) -> None:
        self._schema = labelled_schema(schema)
        self._file = pa.OSFile(str(path), "wb")
        self._writer = pq.ParquetWriter(
            self._file, self._schema, version="2.6", compression=options.compression
        )
        self._batches: list[pa.RecordBatch] = []
        self._rows = self._bytes = 0
        self._rows_max = max(1, min(GROUP_ROWS_MAX, GROUP_CELLS_MAX // max(1, len(schema.variables))))

    def write(self, batch: pa.RecordBatch) -> None:
        """Adds rows."""
        self._batches.append(batch)
        self._rows += len(batch)
        self._bytes += batch.nbytes
        if self._rows >= self._rows_max or self._bytes >= GROUP_BYTES_MAX:
            self._end_group()

    def _end_group(self) -> None:
        arrays = pa.Table.from_batches(self._batches).columns
        table = pa.Table.from_arrays(arrays, schema=self._schema)
        self._writer.write_table(table, row_group_size=max(1, table.num_rows))
        self._batches.clear()
        self._rows = self._bytes = 0

    def byte_count(self) -> int:
        """Returns how large the file is by now."""
        return int(self._file.tell())

    def finish(self) -> list[str]:
        """Ends the file."""
        if self._batches:
            self._end_group()
        self._writer.close()
        self._file.close()
        return []


class ArrowFile:
    """Writes an Arrow file (the random access format, which is also that of Feather)."""

    def __init__(self, path: Path, schema: Schema, options: ExportOptions) -> None:
        self._schema = labelled_schema(schema)
        self._file = pa.OSFile(str(path), "wb")
        codec = None if options.compression == "none" else options.compression
        writing = pa.ipc.IpcWriteOptions(compression=codec)
        self._writer = pa.ipc.new_file(self._file, self._schema, options=writing)

    def write(self, batch: pa.RecordBatch) -> None:
        """Adds rows."""
        self._writer.write_batch(pa.RecordBatch.from_arrays(batch.columns, schema=self._schema))

    def byte_count(self) -> int:
        """Returns how large the file is by now."""
        return int(self._file.tell())

    def finish(self) -> list[str]:
        """Ends the file."""
        self._writer.close()
        self._file.close()
        return []
