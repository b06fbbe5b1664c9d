"""The decoding process: reads jobs, a line of JSON each, from stdin and answers each with a line.

It ends when stdin does, so it cannot outlive the server. Started by `decoding_process.py`.
"""

import hashlib
import mmap
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

import msgspec

from rowkeep.formats.arrow_body import canonical_texts, write_lines
from rowkeep.model.chain import canonical_text
from rowkeep.model.decoding.large import LargeOutcome, SliceSink, decode_large, decode_large_lines
from rowkeep.model.decoding.strict import Row, StrictRefusal
from rowkeep.model.errors import ErrorCode, RowError, RowkeepError, RowsRefused
from rowkeep.model.growth import SchemaChange
from rowkeep.model.inflating import ContentCoding, inflated_pieces, inflated_too_large
from rowkeep.model.inserts import BodyFormat, OffsetMove
from rowkeep.model.quarantine import Skipping
from rowkeep.model.schema import Schema
from rowkeep.model.wide_rows import check_batch
from rowkeep.storage.journal.entries import EntryEncoder
from rowkeep.workers.child_loop import answer_jobs

READ_BYTES = 256 * 1024


class DecodingJob(msgspec.Struct, frozen=True):
    """A body to decode; inflated first if it has a coding. Its frames are written to `frames_path`."""

    body_path: str
    format: BodyFormat
    coding: ContentCoding | None
    inflated_bytes_max: int
    frames_path: str
    schema: Schema
    updates_by_default: bool
    skipping: Skipping | None = None


class FramePlace(msgspec.Struct, frozen=True):
    """A frame whose payload is the next `payload_bytes` of the frames file."""

    row_count: int
    byte_count: int
    codec: int
    payload_bytes: int


class DecodingAnswer(msgspec.Struct, frozen=True):
    """The answer to a job: rows in frames, or an error (with the rows that caused it).

    After the frames, the file holds `refused_bytes` of skipped rows, as MessagePack.
    """

    row_count: int = 0
    schema: Schema | None = None
    change: SchemaChange | None = None
    body_sha256: bytes = b""
    rows_sha256: bytes = b""
    frames: tuple[FramePlace, ...] = ()
    refused_bytes: int = 0
    validate_only: bool | None = None
    offset: OffsetMove | None = None
    error: str | None = None
    error_code: ErrorCode = ErrorCode.INVALID_REQUEST
    row_errors: tuple[RowError, ...] = ()
    row_error_count: int = 0


def run_job(job: DecodingJob) -> DecodingAnswer:
    """Decodes one body."""
    try:
        return _decode(job)
    except RowsRefused as error:
        return DecodingAnswer(
            error=error.message,
            row_errors=tuple(error.row_errors),
            row_error_count=error.row_error_count,
            validate_only=error.validate_only,
        )
    except RowkeepError as error:
        return DecodingAnswer(error=error.message, error_code=error.code)


def _decode(job: DecodingJob) -> DecodingAnswer:
    with _plain_body(job) as file, Path(job.frames_path).open("wb") as output:
        # Not closed by hand: the rows of a refused body still point into it while the error is raised.
        view = _view(file)
        frames = _Frames(output)
        outcome = _outcome(view, job, frames)
        body_sha256 = hashlib.sha256(view).digest()
        refused = b"" if outcome.refused is None else msgspec.msgpack.encode(outcome.refused)
        output.write(refused)
    return DecodingAnswer(
        row_count=outcome.row_count,
        schema=outcome.schema,
        change=outcome.change,
        body_sha256=body_sha256,
        rows_sha256=frames.rows_sha256,
        frames=tuple(frames.places),
        refused_bytes=len(refused),
        validate_only=outcome.validate_only,
        offset=outcome.offset,
    )


def _outcome(view: memoryview, job: DecodingJob, frames: "_Frames") -> LargeOutcome:
    if job.format is BodyFormat.ARROW:
        try:
            return _columns_outcome(view, job, frames)
        except StrictRefusal:
            view = _lines_view(view, job)
    if job.format is not BodyFormat.JSON:
        asked = job.skipping
        bounds = asked.bounds if asked is not None and asked.by_default else None
        return decode_large_lines(
            view, job.schema, may_update=job.updates_by_default, start=frames.restart, bounds=bounds
        )
    return decode_large(
        view,
        job.schema,
        updates_by_default=job.updates_by_default,
        start=frames.restart,
        skipping=job.skipping,
    )


def _columns_outcome(view: memoryview, job: DecodingJob, frames: "_Frames") -> LargeOutcome:
    """Returns the rows of an Arrow stream whose columns all fit. Raises StrictRefusal."""
    row_count = 0
    frames.restart()
    for count, text in canonical_texts(view, job.schema, bytes_max=job.inflated_bytes_max):
        # The text has a line feed behind each row, and nowhere else.
        frames.add(b'{"rows":[' + text[:-1].replace(b"\n", b",") + b"]}", count, text)
        row_count += count
        check_batch(row_count, len(job.schema.variables))
    return LargeOutcome(row_count, job.schema, None)


def _lines_view(view: memoryview, job: DecodingJob) -> memoryview:
    """Returns the rows of an Arrow stream as lines of JSON."""
    with tempfile.TemporaryFile(dir=Path(job.body_path).parent) as lines:
        write_lines(view, cast(BinaryIO, lines), bytes_max=job.inflated_bytes_max)
        lines.flush()
        return _view(cast(BinaryIO, lines))


@contextmanager
def _plain_body(job: DecodingJob) -> Iterator[BinaryIO]:
    """Yields the file of a body, or a nameless file with the inflated body."""
    path = Path(job.body_path)
    with path.open("rb") as body:
        if job.coding is None:
            yield body
            return
        with tempfile.TemporaryFile(dir=path.parent) as plain:
            size = 0
            for piece in inflated_pieces(iter(lambda: body.read(READ_BYTES), b""), job.coding):
                size += len(piece)
                if size > job.inflated_bytes_max:
                    raise inflated_too_large(job.inflated_bytes_max)
                plain.write(piece)
            plain.flush()
            yield cast(BinaryIO, plain)


def _view(file: BinaryIO) -> memoryview:
    if not file.seek(0, os.SEEK_END):
        return memoryview(b"")  # nothing cannot be mapped
    return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))


class _Frames:
    """Writes the frames of a body to a file, and digests their rows (model/chain.py)."""

    def __init__(self, output: BinaryIO) -> None:
        self._output = output
        self._encoder = EntryEncoder()
        self.places: list[FramePlace] = []
        self._sha256 = hashlib.sha256()

    @property
    def rows_sha256(self) -> bytes:
        """Returns the digest of all rows."""
        return self._sha256.digest()

    def restart(self) -> SliceSink:
        """Drops all rows, to take them again from the first on."""
        self._output.seek(0)
        self._output.truncate()
        self.places.clear()
        self._sha256 = hashlib.sha256()
        return self._add_rows

    def add(self, lines: bytes, row_count: int, text: bytes) -> None:
        """Adds rows: as a request body of one line, and as canonical text."""
        frame = self._encoder.frame(lines, row_count)
        self._output.write(frame.payload)
        self.places.append(FramePlace(row_count, frame.byte_count, frame.codec, len(frame.payload)))
        self._sha256.update(text)

    def _add_rows(self, lines: bytes, rows: list[Row]) -> None:
        self.add(lines, len(rows), canonical_text(rows))


def main() -> None:
    """Answers jobs until stdin ends."""
    answer_jobs(lambda line: run_job(msgspec.json.decode(line, type=DecodingJob)))


if __name__ == "__main__":
    main()
