"""The checking process: reads jobs from stdin, each a line of JSON and then a body; answers each with a line.

It ends when stdin does, so it cannot outlive the server. Started by `checking_process.py`.
"""

import sys
from functools import lru_cache

import msgspec

from rowkeep.model.decoding.strict import RowDecoder, StrictRefusal, row_decoder
from rowkeep.model.decoding.strict_rows import StrictRows, strict_rows
from rowkeep.model.inserts import BodyFormat
from rowkeep.model.schema import Schema
from rowkeep.workers.child_loop import answer_jobs


class CheckingJob(msgspec.Struct, frozen=True):
    """A body to check against a schema, which is the JSON of a Schema."""

    schema: msgspec.Raw
    written_as: BodyFormat
    body_bytes: int


class CheckingAnswer(msgspec.Struct, frozen=True):
    """The facts about the rows. None when the strict path does not take them."""

    rows: StrictRows | None = None


def run_job(job: CheckingJob, body: bytes) -> CheckingAnswer:
    """Checks one body."""
    decoder = _decoder(bytes(job.schema))
    try:
        rows, _ = strict_rows(decoder, body, job.written_as)
    except StrictRefusal:
        return CheckingAnswer()
    return CheckingAnswer(rows)


@lru_cache(maxsize=4096)
def _decoder(schema: bytes) -> RowDecoder:
    return row_decoder(msgspec.json.decode(schema, type=Schema))


def main() -> None:
    """Answers jobs until stdin ends."""
    jobs = msgspec.json.Decoder(CheckingJob)

    def answer(line: bytes) -> CheckingAnswer:
        job = jobs.decode(line)
        return run_job(job, sys.stdin.buffer.read(job.body_bytes))

    answer_jobs(answer)


if __name__ == "__main__":
    main()
