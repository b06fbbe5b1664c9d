"""An export, in its jailed worker: rows of segments and entries become files in the worker's folder.

Segments are read with every block checked, row group by row group; entries are decoded as in any other read.
Nothing of a table is held but some batches, unless its format is written in one go.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from rowkeep.formats.arrow import ArrowRows, RowBatch, row_batch
from rowkeep.formats.columns import columns_of
from rowkeep.formats.exports.parts import ExportFiles
from rowkeep.model.decoding.strict import row_decoder
from rowkeep.model.errors import damaged
from rowkeep.model.exports import ExportPlan, ExportResult, UploadRows
from rowkeep.model.resources import RowSlice, Segment
from rowkeep.model.schema import Schema
from rowkeep.storage.journal.rows import decoded_pieces
from rowkeep.storage.local_files import Disk, sync_directory, sync_file
from rowkeep.storage.local_segments import LocalSegments
from rowkeep.storage.segments.parquet import SegmentFile
from rowkeep.workers.entries_file import read_entries
from rowkeep.workers.worker import Work

ENTRIES = "entries"
FILES = "files"
PIECE_ROWS_MAX = 20_000
# What a format that is written in one go may hold of the memory of the worker; it is held several times then.
HELD_SHARE = 0.15


def export(work: Work) -> ExportResult:
    """Writes rows into durable files. Raises invalid_request_error for a value that does not fit."""
    plan = work.arguments(ExportPlan)
    folder = work.folder / FILES
    folder.mkdir()
    held_bytes_max = int(plan.memory_bytes_max * HELD_SHARE)
    files = ExportFiles(folder, plan.schema, plan.options, held_bytes_max)
    row_count, done = plan.row_count, 0
    with (work.folder / ENTRIES).open("rb") as entries:
        for batch in _batches(plan, entries):
            files.write(batch)
            done += len(batch)
            work.report(done / row_count)
    written = files.finish()
    for file in written:
        sync_file(folder / file.name)
    sync_directory(folder)
    return ExportResult(tuple(written), done, tuple(files.warnings))


def _batches(plan: ExportPlan, entries: BinaryIO) -> Iterator[RowBatch]:
    store = LocalSegments(Path(plan.segments), Disk())
    for upload in plan.uploads:
        schemas = {schema.version: schema for schema in upload.schemas}
        for segment in upload.segments:
            yield from _segment_batches(store, segment, upload, schemas[segment.schema_version], plan.schema)
        yield from _entry_batches(upload, schemas, plan.schema, entries)


def _segment_batches(
    store: LocalSegments, segment: Segment, upload: UploadRows, stored: Schema, target: Schema
) -> Iterator[RowBatch]:
    wanted = target.position_by_key()
    names = [variable.name for variable in stored.variables if variable.name.lower() in wanted]
    file = SegmentFile(store, segment)
    for slice_ in upload.slices:
        first = max(slice_.first_row, segment.first_row) - segment.first_row
        end = min(slice_.row_end, segment.row_end) - segment.first_row
        if first < end:
            for group in file.groups(names, first, end):
                yield row_batch(ArrowRows(group, stored, target).arrays(), target)


def _entry_batches(
    upload: UploadRows, schemas: dict[int, Schema], target: Schema, entries: BinaryIO
) -> Iterator[RowBatch]:
    decoders = {version: row_decoder(schema) for version, schema in schemas.items()}
    for entry in read_entries(entries, upload.entry_count):
        decoder = decoders.get(entry.schema_version)
        if decoder is None:
            raise damaged(f"The rows of upload {entry.upload_id} are in a schema that it has not.")
        row = entry.first_row
        for rows, _ in decoded_pieces(entry, decoder):
            for first, end in _kept(upload.slices, row, len(rows)):
                for start in range(first, end, PIECE_ROWS_MAX):
                    piece = rows[start : min(start + PIECE_ROWS_MAX, end)]
                    yield row_batch(columns_of(piece, decoder.schema, target), target)
            row += len(rows)


def _kept(slices: tuple[RowSlice, ...], row: int, row_count: int) -> Iterator[tuple[int, int]]:
    """Yields the ranges of some rows that are in slices. They are counted within these rows."""
    for slice_ in slices:
        first, end = max(slice_.first_row - row, 0), min(slice_.row_end - row, row_count)
        if first < end:
            yield first, end
