"""A process of its own for work that would hold the interpreter lock: a line in, a line out.

The child reads jobs from its standard input and ends when that does, so it cannot outlive the server. One
job at a time; a child that has died is replaced for the next job.
"""

import asyncio
import os
import sys
from asyncio.subprocess import PIPE, Process

ANSWER_BYTES_MAX = 64 * 1024 * 1024
# For glibc's allocator, which others do not read: what a job has freed is kept for the next one. Else each
# megabyte goes back to the system and is fetched again page by page, a sixth of a job's time (measured).
_ALLOCATOR = {
    "MALLOC_MMAP_THRESHOLD_": str(16 * 1024 * 1024),
    "MALLOC_TRIM_THRESHOLD_": str(64 * 1024 * 1024),
}


class ChildProcess:
    """The parent's end of a process that runs a module."""

    def __init__(self, module: str, *arguments: str) -> None:
        self._command = (sys.executable, "-m", module, *arguments)
        self._process: Process | None = None
        self._turn = asyncio.Lock()

    async def start(self) -> None:
        """Starts the process, so that the first job does not wait for it."""
        self._process = await asyncio.create_subprocess_exec(
            *self._command,
            stdin=PIPE,
            stdout=PIPE,
            limit=ANSWER_BYTES_MAX,
            env={**_ALLOCATOR, **os.environ},
            start_new_session=True,  # an interrupt at the terminal is the server's to handle
        )

    async def ask(self, line: bytes, body: bytes = b"") -> bytes:
        """Returns the answer to one job: a line, and the bytes that it announces.

        Raises EOFError when the process died of it, OSError, or ValueError.
        """
        async with self._turn:
            if self._process is None or self._process.returncode is not None:
                await self.start()
            try:
                return await self._exchange(line, body)
            except BaseException:
                # What it would still answer would be taken for the next job's answer.
                await self.close()
                raise

    async def _exchange(self, line: bytes, body: bytes) -> bytes:
        process = self._process
        if process is None or process.stdin is None or process.stdout is None:
            raise EOFError("the process has no pipes")
        process.stdin.write(b"%b\n%b" % (line, body))
        await process.stdin.drain()
        answer = await process.stdout.readline()
        if not answer.endswith(b"\n"):
            await process.wait()
            raise EOFError("the process ended")
        return answer

    async def close(self) -> None:
        """Ends the process."""
        process, self._process = self._process, None
        if process is not None and process.returncode is None:
            process.kill()
            await process.wait()
