"""The files of an export: one after the other, each up to a size."""

import base64
import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa

from rowkeep.formats.exports.avro import AvroFile
from rowkeep.formats.exports.columnar import ArrowFile, ParquetFile
from rowkeep.formats.exports.spreadsheet import XlsxFile
from rowkeep.formats.exports.statistical import DtaFile, SavFile
from rowkeep.formats.exports.text import CsvFile, LinesFile
from rowkeep.formats.exports.writer import ExportWriter
from rowkeep.model.exports import ExportedFile, ExportFormat, ExportOptions
from rowkeep.model.schema import Schema

_READ_BYTES = 1024 * 1024
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
    """Writes rows into files of a folder. At least one is written, also without rows."""

    def __init__(self, folder: Path, schema: Schema, options: ExportOptions, held_bytes_max: int) -> None:
        self._folder = folder
        self._schema = schema
        self._options = options
        self._held_bytes_max = held_bytes_max
        self._paths: list[Path] = []
        self._writer = self._next_file()
        self.warnings: list[str] = []

    def _next_file(self) -> ExportWriter:
        path = self._folder / f"{len(self._paths):06d}{self._options.suffix}"
        self._paths.append(path)
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
            self._writer = self._next_file()
        self._writer.write(batch)

    def _end_file(self) -> None:
        self.warnings += [text for text in self._writer.finish() if text not in self.warnings]

    def finish(self) -> list[Path]:
        """Ends the last file. Returns where all of them are."""
        self._end_file()
        return self._paths


def described(path: Path, name: str) -> ExportedFile:
    """What is said of a file under the name that it gets."""
    digest = hashlib.md5(usedforsecurity=False)
    byte_count = 0
    for part in _parts(path):
        digest.update(part)
        byte_count += len(part)
    return ExportedFile(name, byte_count, base64.b64encode(digest.digest()).decode())


def _parts(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while part := file.read(_READ_BYTES):
            yield part
