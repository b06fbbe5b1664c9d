"""The processes that the server starts: each answers line by line, and ends when the server does."""

import subprocess
import sys
from pathlib import Path

import msgspec

from rowkeep.model.inserts import RowsFormat
from rowkeep.model.schema import Schema, Variable
from rowkeep.model.types import VariableType
from rowkeep.storage.decoding_worker import DecodingAnswer, DecodingJob
from rowkeep.storage.files import DataDirectory
from rowkeep.storage.sealing_worker import SealingAnswer, SealingJob
from rowkeep.storage.sqlite import SqliteDatabase
from tests.contract.journaling import make_uploads

SCHEMA = Schema(1, (Variable("id", VariableType.INTEGER),))


def answers(module: str, *arguments: str, jobs: list[object]) -> list[bytes]:
    """What a process answers to jobs, after which its input ends and so does it."""
    lines = b"".join(msgspec.json.encode(job) + b"\n" for job in jobs)
    command = [sys.executable, "-m", f"rowkeep.storage.{module}", *arguments]
    done = subprocess.run(command, input=lines, capture_output=True, check=True, timeout=60)
    return done.stdout.splitlines()


def test_the_decoding_process_answers_and_ends(tmp_path: Path) -> None:
    """Rows that fit, rows that do not, and what is no body at all."""
    jobs: list[object] = []
    for name, body in (("good", b'{"rows":[{"id":1}]}'), ("bad", b'{"rows":[{"id":"x"}]}'), ("none", b"[")):
        (tmp_path / name).write_bytes(body)
        jobs.append(
            DecodingJob(
                body_path=str(tmp_path / name),
                format=RowsFormat.JSON,
                coding=None,
                inflated_bytes_max=2**20,
                frames_path=str(tmp_path / f"{name}.frames"),
                schema=SCHEMA,
                updates_by_default=False,
            )
        )
    found = [msgspec.json.decode(line, type=DecodingAnswer) for line in answers("decoding_worker", jobs=jobs)]
    assert [(answer.row_count, answer.row_error_count) for answer in found] == [(1, 0), (0, 1), (0, 0)]
    assert [answer.error is None for answer in found] == [True, False, False]


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
