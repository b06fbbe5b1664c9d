"""The files of an export: written one after the other, each up to a size."""

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa

from rowkeep.formats.exports.avro import AvroFile
from rowkeep.formats.exports.columnar import ArrowFile, ParquetFile
from rowkeep.formats.exports.digest import RunningDigest
from rowkeep.formats.exports.spreadsheet import XlsxFile
from rowkeep.formats.exports.statistical import DtaFile, SavFile
from rowkeep.formats.exports.text import CsvFile, LinesFile
from rowkeep.formats.exports.writer import ExportWriter
from rowkeep.model.exports import ExportedFile, ExportFormat, ExportOptions
from rowkeep.model.schema import Schema

_STREAMING: dict[ExportFormat, Callable[[Path, Schema, ExportOptions], ExportWriter]] = {
    ExportFormat.CSV: CsvFile,
    ExportFormat.JSON_LINES: LinesFile,
    ExportFormat.PARQUET: ParquetFile,
    ExportFormat.ARROW: ArrowFile,
    ExportFormat.AVRO: AvroFile,
}
_HELD: dict[ExportFormat, Callable[[Path, Schema, int], ExportWriter]] = {
    ExportFormat.DTA: DtaFile,
    ExportFormat.SAV: SavFile,
}


class ExportFiles:
    """Writes rows into files of a folder. At least one file is written, even without rows."""

    def __init__(self, folder: Path, schema: Schema, options: ExportOptions, held_bytes_max: int) -> None:
        self._folder = folder
        self._schema = schema
        self._options = options
        self._held_bytes_max = held_bytes_max
        self._ended: list[ExportedFile] = []
        self._begin_file()
        self.warnings: list[str] = []

    def _begin_file(self) -> None:
        self._path = self._folder / f"{len(self._ended):06d}{self._options.suffix}"
        self._writer = self._writer_of(self._path)
        self._digest: RunningDigest | None = None
        if self._options.format in _STREAMING:  # the others may go back in their file
            self._digest = RunningDigest(self._path)

    def _writer_of(self, path: Path) -> ExportWriter:
        streaming = _STREAMING.get(self._options.format)
        if streaming is not None:
            return streaming(path, self._schema, self._options)
        held = _HELD.get(self._options.format)
        if held is not None:
            return held(path, self._schema, self._held_bytes_max)
        return XlsxFile(path, self._schema)

    def write(self, batch: pa.RecordBatch) -> None:
        """Adds rows. Raises RowkeepError for a value that the format cannot hold."""
        if self._writer.byte_count() >= self._options.part_bytes_max:
            self._end_file()
            self._begin_file()
        self._writer.write(batch)
        if self._digest is not None:
            self._digest.note()

    def _end_file(self) -> None:
        self.warnings += [text for text in self._writer.finish() if text not in self.warnings]
        digest = self._digest or RunningDigest(self._path)
        md5 = digest.finish()
        self._ended.append(ExportedFile(self._path.name, digest.byte_count, md5))

    def finish(self) -> list[ExportedFile]:
        """Finishes the last file. Returns all files in order."""
        self._end_file()
        return self._ended
