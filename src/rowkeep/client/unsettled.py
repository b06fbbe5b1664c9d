"""The file of the batches that were not known to be in when their stream ended.

It has a JSON object a line, for each batch its path, Idempotency-Key and body. Sent again to the byte
under its key, a batch is in once, whether or not it was already.
"""

import fcntl
import os
from collections.abc import Sequence
from pathlib import Path

import msgspec

from rowkeep.client.batches import Batch, rows_of
from rowkeep.client.errors import UnsettledBatch


class _Kept(msgspec.Struct):
    path: str
    key: str
    body: str


class KeptFile:
    """The file of the batches that a stream could not settle. `path` is that of the upload on its server.

    One stream holds it at a time, from its start to `keep`; another would remove rows that it never saw.
    Raises ValueError for a file that another stream holds.
    """

    def __init__(self, file: Path, path: str) -> None:
        self._file = file
        self._path = path
        self._lock_file = file.with_name(file.name + ".lock")
        self._lock = os.open(self._lock_file, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(self._lock)
            raise ValueError(
                f"another RowStream has {file}; close it first, or give each a file of its own"
            ) from error

    def batches(self) -> list[Batch]:
        """Returns the batches in the file. Their rows are numbered from below up to -1.

        Raises ValueError for a file of another upload.
        """
        try:
            return self._batches()
        except ValueError:
            self._release()
            raise

    def _batches(self) -> list[Batch]:
        if not self._file.exists():
            return []
        kept = [self._decoded(line) for line in self._file.read_bytes().split(b"\n") if line]
        bodies = [batch.body.encode() for batch in kept]
        counts = [len(rows_of(body)) for body in bodies]
        firsts = [-sum(counts[index:]) for index in range(len(counts))]
        return [
            Batch(batch.key, body, range(first, first + count))
            for batch, body, first, count in zip(kept, bodies, firsts, counts, strict=True)
        ]

    def keep(self, batches: Sequence[UnsettledBatch]) -> None:
        """Replaces the batches in the file, and releases it. Without batches the file is removed."""
        try:
            self._replace(batches)
        finally:
            self._release()

    def _release(self) -> None:
        self._lock_file.unlink(missing_ok=True)
        os.close(self._lock)

    def _replace(self, batches: Sequence[UnsettledBatch]) -> None:
        if not batches:
            self._file.unlink(missing_ok=True)
            return
        lines = [_Kept(self._path, batch.key, batch.body.decode()) for batch in batches]
        written = self._file.with_name(self._file.name + ".new")
        with written.open("wb") as file:
            file.write(b"".join(msgspec.json.encode(line) + b"\n" for line in lines))
            file.flush()
            os.fsync(file.fileno())
        written.rename(self._file)

    def _decoded(self, line: bytes) -> _Kept:
        try:
            kept = msgspec.json.decode(line, type=_Kept)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise ValueError(f"{self._file} is no file of a RowStream: {error}") from error
        if kept.path != self._path:
            raise ValueError(f"{self._file} keeps rows for {kept.path}, and this stream goes to {self._path}")
        return kept
