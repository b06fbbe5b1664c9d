"""Large bodies are decoded in a process of their own, one at a time.

Decoding holds the interpreter lock, and a body of 100 MiB takes half a second of it: in the answering
process that would stop every other request, in a thread just the same. The body goes there as a file
(see FileSpool), comes back as encoded frames in another, and neither is ever in this process's memory
at once. A process that dies (out of memory, say) is replaced; the request it worked on gets 503.
"""

import asyncio
import os
import sys
from asyncio.subprocess import PIPE, Process
from pathlib import Path

import msgspec

from rowkeep.model.errors import RowkeepError, RowsRefused, invalid_request, unavailable
from rowkeep.model.resources import Frame
from rowkeep.model.schema import Schema
from rowkeep.storage.base import LargeRows, Spool
from rowkeep.storage.decoding_worker import DecodingAnswer, DecodingJob, FramePlace
from rowkeep.storage.files import FileSpool

RETRY_SECONDS = 1
ANSWER_BYTES_MAX = 64 * 1024 * 1024


class DecodingProcess:
    """The parent's end of the decoding process."""

    def __init__(self, spool_folder: Path) -> None:
        self._spool_folder = spool_folder
        self._process: Process | None = None
        self._turn = asyncio.Lock()

    async def start(self) -> None:
        """Starts the process, so that the first large body does not wait for it."""
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "rowkeep.storage.decoding_worker",
            stdin=PIPE,
            stdout=PIPE,
            limit=ANSWER_BYTES_MAX,
            start_new_session=True,  # an interrupt at the terminal is the server's to handle
        )

    def spool(self) -> FileSpool:
        """A file for one large body."""
        return FileSpool(self._spool_folder)

    async def decode(self, spool: Spool, schema: Schema, *, updates_by_default: bool) -> LargeRows:
        """Checks a spooled body. Raises RowsRefused or invalid_request_error as decoding does."""
        if not isinstance(spool, FileSpool):
            raise TypeError("a body is spooled by the process that decodes it")
        frames_path = spool.path.with_suffix(".frames")
        job = DecodingJob(str(spool.path), str(frames_path), schema, updates_by_default)
        try:
            answer = await self._ask(job)
            if answer.error is not None:
                raise _refusal(answer)
            frames = await asyncio.to_thread(_read_frames, frames_path, answer.frames)
        finally:
            frames_path.unlink(missing_ok=True)
        return LargeRows(
            row_count=answer.row_count,
            frames=frames,
            schema=answer.schema or schema,
            change=answer.change,
            digest=answer.digest,
        )

    async def _ask(self, job: DecodingJob) -> DecodingAnswer:
        async with self._turn:
            if self._process is None or self._process.returncode is not None:
                await self.start()
            try:
                return await self._exchange(job)
            except (OSError, EOFError, ValueError) as error:
                await self.close()  # a ValueError is an answer too long: its rest would be the next one's
                raise unavailable(
                    "The server could not decode a body of this size. Nothing was inserted; "
                    "send it again, or in smaller parts.",
                    retry_after_seconds=RETRY_SECONDS,
                    detail=str(error),
                ) from error
            except asyncio.CancelledError:
                await self.close()  # its answer would be taken for the next job's
                raise

    async def _exchange(self, job: DecodingJob) -> DecodingAnswer:
        process = self._process
        if process is None or process.stdin is None or process.stdout is None:
            raise EOFError("the decoding process has no pipes")
        process.stdin.write(msgspec.json.encode(job) + b"\n")
        await process.stdin.drain()
        line = await process.stdout.readline()
        if not line.endswith(b"\n"):
            await process.wait()
            raise EOFError("the decoding process ended")
        return msgspec.json.decode(line, type=DecodingAnswer)

    async def close(self) -> None:
        """Ends the process."""
        process, self._process = self._process, None
        if process is not None and process.returncode is None:
            process.kill()
            await process.wait()


def _refusal(answer: DecodingAnswer) -> RowkeepError:
    if answer.row_errors:
        return RowsRefused(list(answer.row_errors), answer.row_error_count)
    return invalid_request(answer.error or "The body could not be read.")


def _read_frames(path: Path, places: tuple[FramePlace, ...]) -> tuple[Frame, ...]:
    with path.open("rb", buffering=0) as file:
        return tuple(
            Frame(place.row_count, place.byte_count, place.codec, _read_exactly(file.fileno(), place))
            for place in places
        )


def _read_exactly(descriptor: int, place: FramePlace) -> bytes:
    payload = os.read(descriptor, place.payload_bytes)
    if len(payload) != place.payload_bytes:
        raise OSError("a frame of the decoding process is incomplete")
    return payload
