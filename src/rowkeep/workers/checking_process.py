"""Checks bodies of middle size in a process of its own while several uploads send.

Checking a thousand rows holds the interpreter lock for milliseconds, and the event loop with it. To the one
who sends them nothing is lost by that. All others wait, and not only while the loop is busy: the HTTP
server's thread needs the lock for each request that it hands over and each part of a body. A polite sender
beside a flood of 1,000 rows a request waited 9 ms outside of any work, and waits 2 ms since (medians).

The body goes through a pipe and stays in this process's memory, so that it can share a commit with others.
Bodies above a megabyte take another way, and other processes (decoding_process.py): they take up to seconds,
these milliseconds. One process: with two the flood came no faster on two processors, and the polite sender
waited longer (medians of 16 to 22 ms, 8 to 11 with one).

Rejected: doing so for an upload that is alone. On two processors the pipe costs it 10 to 20 % of its rate.
"""

from functools import lru_cache

import msgspec

from rowkeep.model.decoding.strict import StrictRefusal
from rowkeep.model.decoding.strict_rows import StrictRows
from rowkeep.model.errors import unavailable
from rowkeep.model.inserts import BodyFormat
from rowkeep.model.schema import Schema
from rowkeep.workers.checking_worker import CheckingAnswer, CheckingJob
from rowkeep.workers.child_process import ChildProcess

RETRY_SECONDS = 1


class CheckingProcess:
    """The parent's end of the checking process."""

    def __init__(self) -> None:
        self._child = ChildProcess("rowkeep.workers.checking_worker")

    async def start(self) -> None:
        """Starts the process, so that the first body does not wait for it."""
        await self._child.start()

    async def check(self, body: bytes, schema: Schema, written_as: BodyFormat) -> StrictRows:
        """Checks a body. Raises StrictRefusal, or unavailable when the process died."""
        job = CheckingJob(_schema_text(schema), written_as, len(body))
        try:
            answer = await self._child.ask(msgspec.json.encode(job), body)
        except (OSError, EOFError, ValueError) as error:
            raise unavailable(
                "The server could not check this body. Nothing was inserted; send it again.",
                retry_after_seconds=RETRY_SECONDS,
                detail=str(error),
            ) from error
        rows = msgspec.json.decode(answer, type=CheckingAnswer).rows
        if rows is None:
            raise StrictRefusal
        return rows

    async def close(self) -> None:
        """Ends the process."""
        await self._child.close()


@lru_cache(maxsize=4096)
def _schema_text(schema: Schema) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(schema))
