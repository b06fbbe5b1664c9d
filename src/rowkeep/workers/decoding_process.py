"""Large bodies are decoded in processes of their own, two at a time.

Decoding holds the interpreter lock, and a body of 100 MiB takes half a second of it: in the answering
process that would stop every other request, in a thread just the same. The body goes there as a file
(see FileSpool), comes back as encoded frames in another, and neither is ever in this process's memory
at once. A process that dies (out of memory, say) is replaced; the request it worked on gets 503.

Two, so that a body that takes a second does not hold up all others, and so that one decodes while this
process takes the rows of the other. The second starts when it is first needed. Not more: a bound on how many
bodies are decoded at once is a bound on memory.
"""

import asyncio
import hashlib
import os
from io import FileIO
from pathlib import Path

import msgspec

from rowkeep.model.errors import RowkeepError, RowsRefused, unavailable
from rowkeep.model.inflating import ContentCoding, inflated_pieces
from rowkeep.model.quarantine import RefusedRows, Skipping
from rowkeep.model.resources import Frame
from rowkeep.model.schema import Schema
from rowkeep.storage.engines import LargeBody, LargeRows
from rowkeep.storage.local_files import FileSpool
from rowkeep.workers.child_process import ChildProcess
from rowkeep.workers.decoding_worker import READ_BYTES, DecodingAnswer, DecodingJob

RETRY_SECONDS = 1
PROCESSES = 2


class DecodingProcesses:
    """The parent's end of the decoding processes."""

    def __init__(self, spool_folder: Path, *, inflated_bytes_max: int) -> None:
        self._spool_folder = spool_folder
        self._inflated_bytes_max = inflated_bytes_max
        self._children = [ChildProcess("rowkeep.workers.decoding_worker") for _ in range(PROCESSES)]
        self._free: asyncio.LifoQueue[ChildProcess] = asyncio.LifoQueue()  # the last that was busy goes first
        for child in self._children:
            self._free.put_nowait(child)

    async def start(self) -> None:
        """Starts one process, so that the first large body does not wait for it."""
        await self._children[-1].start()

    def spool(self) -> FileSpool:
        """Returns a file for one large body."""
        return FileSpool(self._spool_folder)

    async def decode(
        self, body: LargeBody, schema: Schema, *, updates_by_default: bool, skipping: Skipping | None = None
    ) -> LargeRows:
        """Checks a body and returns its rows.

        Raises RowsRefused, invalid_request_error or payload_too_large.
        """
        if not isinstance(body.spool, FileSpool):
            raise TypeError("a body is spooled by the process that decodes it")
        path = body.spool.path
        frames_path = path.with_suffix(".frames")
        job = DecodingJob(
            body_path=str(path),
            format=body.format,
            coding=body.coding,
            inflated_bytes_max=self._inflated_bytes_max,
            frames_path=str(frames_path),
            schema=schema,
            updates_by_default=updates_by_default,
            skipping=skipping,
        )
        try:
            answer = await self._ask(job)
            if answer.error is not None:
                raise _refusal(answer)
            frames, refused = await asyncio.to_thread(_read_rows, frames_path, answer)
        finally:
            frames_path.unlink(missing_ok=True)
        return LargeRows(
            row_count=answer.row_count,
            frames=frames,
            schema=answer.schema or schema,
            change=answer.change,
            body_sha256=answer.body_sha256,
            rows_sha256=answer.rows_sha256,
            refused=refused,
            validate_only=answer.validate_only,
            offset=answer.offset,
        )

    async def body_sha256(self, body: LargeBody) -> bytes:
        """Returns the SHA-256 of the inflated body."""
        if not isinstance(body.spool, FileSpool):
            raise TypeError("a body is spooled by the process that decodes it")
        return await asyncio.to_thread(_digest, body.spool.path, body.coding)

    async def _ask(self, job: DecodingJob) -> DecodingAnswer:
        child = await self._free.get()
        try:
            answer = await child.ask(msgspec.json.encode(job))
        except (OSError, EOFError, ValueError) as error:
            raise unavailable(
                "The server could not decode a body of this size. Nothing was inserted; "
                "send it again, or in smaller parts.",
                retry_after_seconds=RETRY_SECONDS,
                detail=str(error),
            ) from error
        finally:
            self._free.put_nowait(child)
        return msgspec.json.decode(answer, type=DecodingAnswer)

    async def close(self) -> None:
        """Ends the processes."""
        for child in self._children:
            await child.close()


def _digest(path: Path, coding: ContentCoding | None) -> bytes:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        chunks = iter(lambda: file.read(READ_BYTES), b"")
        for piece in chunks if coding is None else inflated_pieces(chunks, coding):
            digest.update(piece)
    return digest.digest()


def _refusal(answer: DecodingAnswer) -> RowkeepError:
    if answer.row_errors:
        return RowsRefused(
            list(answer.row_errors), answer.row_error_count, validate_only=answer.validate_only
        )
    return RowkeepError(answer.error_code, answer.error or "The body could not be read.")


def _read_rows(path: Path, answer: DecodingAnswer) -> tuple[tuple[Frame, ...], RefusedRows | None]:
    with path.open("rb", buffering=0) as file:
        frames = tuple(
            Frame(place.row_count, place.byte_count, place.codec, _read_exactly(file, place.payload_bytes))
            for place in answer.frames
        )
        refused = _read_exactly(file, answer.refused_bytes)
    return frames, msgspec.msgpack.decode(refused, type=RefusedRows) if refused else None


def _read_exactly(file: FileIO, byte_count: int) -> bytes:
    payload = os.read(file.fileno(), byte_count)
    if len(payload) != byte_count:
        raise OSError("what the decoding process wrote is incomplete")
    return payload
