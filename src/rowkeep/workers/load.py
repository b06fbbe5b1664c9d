"""A load, in its jailed worker: a file becomes segments in the worker's folder."""

from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from rowkeep.formats.files.opening import open_file
from rowkeep.formats.files.table import FileTable
from rowkeep.model.errors import RowError, invalid_request
from rowkeep.model.files import BadRecord, FileType, RecordsRefused
from rowkeep.model.loads import LoadAnswer, LoadArguments, LoadedFile, LoadResult
from rowkeep.model.quarantine import QuarantineBounds, Refusals, RefusedRows
from rowkeep.model.schema import Schema, Variable, VariableMetadata
from rowkeep.storage.local_files import Disk
from rowkeep.storage.local_segments import LocalSegments
from rowkeep.storage.segments.loading import SegmentLoader
from rowkeep.workers.worker import Work

# The schema that an upload has before its file is read is version 1, and empty.
SCHEMA_VERSION = 2
SEGMENTS = "segments"
REFUSED = "refused"
_SCRATCH = "scratch"
# How much of a load is done when it has begun, when all values were looked at for their types, and when all
# rows are written.
STARTED, OPENED, WRITTEN = 0.02, 0.45, 0.95
# Where nobody knows how many rows there are: canonical text for each byte of the file.
TEXT_BYTES_PER_BYTE = 1.5
# Of these the types stand in the file, so opening them takes no time.
_TYPED_FILES = (FileType.PARQUET, FileType.ORC, FileType.AVRO)


class LoadJob(msgspec.Struct, frozen=True):
    """The arguments of a load's worker. `bounds` are those of the quarantine for skipped records."""

    upload_id: int
    path: str
    arguments: LoadArguments
    bounds: QuarantineBounds


def load(work: Work) -> LoadAnswer:
    """Reads a file into durable segments. Skipped records go to a file of their own (`REFUSED`)."""
    return load_file(work.arguments(LoadJob), work.folder, Disk(), work.report)


def load_file(
    job: LoadJob, folder: Path, disk: Disk, report: Callable[[float], None] = lambda _: None
) -> LoadAnswer:
    """Reads a file into segments in this process, through a disk."""
    try:
        return LoadAnswer(_load(job, folder, disk, report))
    except RecordsRefused as error:
        return LoadAnswer(None, tuple(error.bad_records), error.bad_record_count)


def _load(job: LoadJob, folder: Path, disk: Disk, report: Callable[[float], None]) -> LoadedFile:
    scratch, segments = folder / _SCRATCH, folder / SEGMENTS
    scratch.mkdir()
    segments.mkdir()
    report = _never_back(report)
    report(STARTED)
    table = open_file(
        Path(job.path),
        job.arguments.options,
        scratch,
        lambda share: report(STARTED + (OPENED - STARTED) * share),
    )
    schema = Schema(SCHEMA_VERSION, described_variables(table.variables, job.arguments.metadata))
    loader = SegmentLoader(LocalSegments(segments, disk), job.upload_id, schema, place=job.arguments.place)
    try:
        for batch in table.batches():
            loader.add(batch)
            report(written_fraction(table, loader, job.arguments.content_bytes))
        table.bad_records.check()
        loaded = loader.finish()
    finally:
        loader.close()
    _write_refused(folder, table, job.bounds)
    return LoadedFile(
        schema=loaded.schema,
        row_count=loaded.row_count,
        byte_count=loaded.byte_count,
        chain=loaded.chain,
        segments=loaded.segments,
        result=LoadResult(
            table.detected,
            table.bad_records.count,
            tuple(table.bad_records.first),
            tuple(table.warnings),
        ),
    )


def _never_back(report: Callable[[float], None]) -> Callable[[float], None]:
    """Returns a listener that passes on only growing fractions, since a file may be looked at twice."""
    highest = 0.0

    def report_more(fraction: float) -> None:
        nonlocal highest
        if fraction > highest:
            highest = fraction
            report(fraction)

    return report_more


def written_fraction(table: FileTable, loader: SegmentLoader, content_bytes: int) -> float:
    """Returns the progress of a load while its rows are written.

    The number of rows counts where it is known. Otherwise the canonical text counts, which is about one and a
    half times the size of the file. For a compressed file it is much more, and the progress runs ahead.
    """
    opened = STARTED if table.detected.type in _TYPED_FILES else OPENED
    if table.row_count is None:
        share = loader.text_bytes / max(1.0, TEXT_BYTES_PER_BYTE * content_bytes)
    else:
        share = loader.row_count / max(1, table.row_count)
    return opened + (WRITTEN - opened) * min(1.0, share)


def described_variables(
    variables: tuple[Variable, ...], metadata: Mapping[str, VariableMetadata]
) -> tuple[Variable, ...]:
    """Returns a file's variables with the sender's descriptions, by name in the file or repaired name.

    Raises invalid_request_error for a name that the file does not have.
    """
    said = {name.lower(): (name, facts) for name, facts in metadata.items()}
    described = []
    for variable in variables:
        found = said.pop(variable.name.lower(), None) or said.pop((variable.label or "").lower(), None)
        described.append(variable if found is None else _described(variable, found[1]))
    for name, _ in said.values():
        raise invalid_request(f"`metadata` describes {name!r}, and the file has no such column.")
    return tuple(described)


def _described(variable: Variable, facts: VariableMetadata) -> Variable:
    return msgspec.structs.replace(
        variable,
        label=facts.label or variable.label,
        description=facts.description or variable.description,
        value_labels=facts.value_labels or variable.value_labels,
    )


def _write_refused(folder: Path, table: FileTable, bounds: QuarantineBounds) -> None:
    refusals = Refusals(bounds)
    for record in table.bad_records.all():
        refusals.add(record.row - 1, record.text.encode(), [_error_of(record)])
    refused = refusals.rows()
    if refused is not None:
        (folder / REFUSED).write_bytes(msgspec.msgpack.encode(refused))


def read_refused(folder: Path, bytes_max: int) -> RefusedRows | None:
    """Returns the skipped records of a load. Raises ValueError when they take more than `bytes_max`."""
    path = folder / REFUSED
    if not path.exists():
        return None
    if path.stat().st_size > bytes_max:
        raise ValueError("a worker has written more refused records than it may")
    return msgspec.msgpack.decode(path.read_bytes(), type=RefusedRows)


def _error_of(record: BadRecord) -> RowError:
    return RowError(record.row - 1, record.column, record.message)
