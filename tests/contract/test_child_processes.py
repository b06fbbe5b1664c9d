"""The processes that the server starts: each answers line by line, and ends when the server does."""

import asyncio
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from rowkeep.model.inserts import BodyFormat
from rowkeep.model.resources import Segment
from rowkeep.model.schema import Schema, Variable
from rowkeep.model.types import VariableType
from rowkeep.storage.base import SealingError
from rowkeep.storage.local_files import DataDirectory, Disk
from rowkeep.storage.local_segments import LocalSegments
from rowkeep.storage.segments.sweep import SegmentSweep
from rowkeep.storage.sqlite import SqliteDatabase
from rowkeep.workers.decoding_worker import DecodingAnswer, DecodingJob
from rowkeep.workers.sealing_process import SealingProcess
from rowkeep.workers.sealing_worker import SealingAnswer, SealingJob
from tests.contract.journaling import make_uploads

SCHEMA = Schema(1, (Variable("id", VariableType.INTEGER),))


def answers(module: str, *arguments: str, jobs: list[object]) -> list[bytes]:
    """What a process answers to jobs, after which its input ends and so does it."""
    lines = b"".join(msgspec.json.encode(job) + b"\n" for job in jobs)
    command = [sys.executable, "-m", f"rowkeep.workers.{module}", *arguments]
    done = subprocess.run(command, input=lines, capture_output=True, check=True, timeout=60)
    return done.stdout.splitlines()


def test_the_decoding_process_answers_and_ends(tmp_path: Path) -> None:
    """Rows that fit, rows that do not, and what is no body at all; lines, also none."""
    jobs: list[object] = []
    bodies = {
        "good": (BodyFormat.JSON, b'{"rows":[{"id":1}]}'),
        "bad": (BodyFormat.JSON, b'{"rows":[{"id":"x"}]}'),
        "none": (BodyFormat.JSON, b"["),
        "empty": (BodyFormat.JSON, b""),
        "lines": (BodyFormat.LINES, b'{"id":1}\n{"id":2}\n'),
        "no lines": (BodyFormat.LINES, b""),
    }
    for name, (format_, body) in bodies.items():
        (tmp_path / name).write_bytes(body)
        jobs.append(
            DecodingJob(
                body_path=str(tmp_path / name),
                format=format_,
                coding=None,
                inflated_bytes_max=2**20,
                frames_path=str(tmp_path / f"{name}.frames"),
                schema=SCHEMA,
                updates_by_default=False,
            )
        )
    found = [msgspec.json.decode(line, type=DecodingAnswer) for line in answers("decoding_worker", jobs=jobs)]
    assert [(answer.row_count, answer.row_error_count) for answer in found] == [
        (1, 0),
        (0, 1),
        (0, 0),
        (0, 0),
        (2, 0),
        (0, 0),
    ]
    assert [answer.error is None for answer in found] == [True, False, False, False, True, True]


def test_the_sealing_process_answers_and_ends(tmp_path: Path) -> None:
    """Nothing to seal is an answer without a segment; what cannot be compacted is an error."""
    directory = DataDirectory(tmp_path)
    directory.sweep()
    database = SqliteDatabase(directory.database)
    make_uploads(database)
    database.close()
    jobs: list[object] = [SealingJob(1, 0), SealingJob(1, 0, 5), SealingJob(1, 0)]
    lines = answers("sealing_worker", str(tmp_path), jobs=jobs)
    found = [msgspec.json.decode(line, type=SealingAnswer) for line in lines]
    assert [answer.segment for answer in found] == [None, None, None]
    assert [answer.error is None for answer in found] == [True, False, True]


def test_a_sealing_process_that_dies(tmp_path: Path) -> None:
    """Whoever waits for its answer hears that it failed, and the next job starts another."""
    directory = DataDirectory(tmp_path / "data")
    store = LocalSegments(directory.segments, Disk())

    async def run() -> Segment | None:
        sealing = SealingProcess(directory, store, SegmentSweep(store), grace_seconds=0)
        directory.database.mkdir()
        try:
            with pytest.raises(SealingError, match="the sealing process failed"):
                await sealing.seal(1, 0)  # it cannot open the database, and ends
            directory.database.rmdir()
            directory.sweep()
            database = SqliteDatabase(directory.database)
            make_uploads(database)
            database.close()
            with pytest.raises(SealingError, match="LookupError: upload 1 has no segment from 0 on"):
                await sealing.compact(1, 0, 5)
            return await sealing.seal(1, 0)
        finally:
            await sealing.close()

    assert asyncio.run(run()) is None
