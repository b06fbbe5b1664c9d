"""The decoding process: reads jobs, a line of JSON each, from stdin and answers each with a line.

It ends when stdin does, so it cannot outlive the server. Started by `decoding_process.py`.
"""

import gc
import hashlib
import mmap
import sys
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import msgspec

from rowkeep.model.errors import RowError, RowkeepError, RowsRefused
from rowkeep.model.growth import SchemaChange
from rowkeep.model.large import decode_large
from rowkeep.model.resources import Frame
from rowkeep.model.schema import Schema
from rowkeep.storage.journal import Journal


class DecodingJob(msgspec.Struct, frozen=True):
    """A body to decode; its frames are written to `frames_path`."""

    body_path: str
    frames_path: str
    schema: Schema
    updates_by_default: bool


class FramePlace(msgspec.Struct, frozen=True):
    """A frame whose payload is the next `payload_bytes` of the frames file."""

    row_count: int
    byte_count: int
    codec: int
    payload_bytes: int


class DecodingAnswer(msgspec.Struct, frozen=True):
    """What became of a job: rows in frames, or an error (with the rows that caused it)."""

    row_count: int = 0
    schema: Schema | None = None
    change: SchemaChange | None = None
    digest: bytes = b""
    frames: tuple[FramePlace, ...] = ()
    error: str | None = None
    row_errors: tuple[RowError, ...] = ()
    row_error_count: int = 0


def run_job(job: DecodingJob) -> DecodingAnswer:
    """Decodes one body."""
    try:
        return _decode(job)
    except RowsRefused as error:
        return DecodingAnswer(
            error=error.message, row_errors=tuple(error.row_errors), row_error_count=error.row_error_count
        )
    except RowkeepError as error:
        return DecodingAnswer(error=error.message)


def _decode(job: DecodingJob) -> DecodingAnswer:
    journal = Journal()
    with Path(job.body_path).open("rb") as file, Path(job.frames_path).open("wb") as output:
        # Not closed by hand: the rows of a refused body still point into it while the error is raised.
        view = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        frames: list[FramePlace] = []
        outcome = decode_large(
            view,
            job.schema,
            updates_by_default=job.updates_by_default,
            start=lambda: _restart(output, frames, journal),
        )
        digest = hashlib.sha256(view).digest()
    return DecodingAnswer(
        row_count=outcome.row_count,
        schema=outcome.schema,
        change=outcome.change,
        digest=digest,
        frames=tuple(frames),
    )


def _restart(output: BinaryIO, frames: list[FramePlace], journal: Journal) -> Callable[[bytes, int], None]:
    output.seek(0)
    output.truncate()
    frames.clear()

    def sink(lines: bytes, row_count: int) -> None:
        frame: Frame = journal.frame(lines, row_count)
        output.write(frame.payload)
        frames.append(FramePlace(row_count, frame.byte_count, frame.codec, len(frame.payload)))

    return sink


def main() -> None:
    """Answers jobs until stdin ends."""
    gc.disable()  # jobs make millions of objects and no cycles
    answers = sys.stdout.buffer
    for line in sys.stdin.buffer:
        answer = run_job(msgspec.json.decode(line, type=DecodingJob))
        answers.write(msgspec.json.encode(answer) + b"\n")
        answers.flush()
        gc.collect()


if __name__ == "__main__":
    main()
