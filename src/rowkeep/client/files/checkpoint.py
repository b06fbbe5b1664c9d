"""The state of an insert that is stored beside its input, so that it can continue after a crash.

Theory
------
Up to `offset` everything is in; beyond it the keys keep rows from being doubled, since the same bytes are cut
into the same chunks (see chunks.py). So a state that is a little old, or lost altogether, costs time and no
rows: the server keeps keys as long as their rows. Two things cannot be found
again from the bytes, and are on the disk *before* the request is sent:

* `planned`: where a chunk ends that was cut for want of more bytes;
* its `removed`: which of its rows were refused and taken out.

A run that ends in order also plans what is in beyond `offset`, with several requests in flight. What is
planned must stand in the input as it was, or else its rows would go in again under another key.

Only if the state is lost after such a chunk was sent, and the input has grown (or the schema has
changed) since, can rows of this chunk be doubled.

The server may lose rows that the state says are in (standing.py). So the state names the upload and the last
receipt, and where the input was cut for want of more bytes (`cuts`), up to a bound: what was cut before
`known_from` is forgotten.

The file is replaced as a whole (temporary file, fsync, rename, fsync of the folder), and locked while
it is used: the lock goes over from the old file to the new one before the rename.
"""

import fcntl
import hashlib
import os
import secrets
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from rowkeep.client.batches import Batch, Outcome
from rowkeep.client.errors import RefusedRow
from rowkeep.client.files.chunks import Chunk, key_of
from rowkeep.client.files.taps import InputChanged, read_exactly
from rowkeep.client.folders import sync_folder

TAIL_BYTES = 64 * 1024
WRITE_SECONDS = 1.0
CUTS_MAX = 1_000


class Planned(msgspec.Struct):
    """A chunk that cannot be found again from the bytes alone, and the key under which it was sent."""

    start: int
    end: int
    key: str
    removed: tuple[RefusedRow, ...] = ()


class LastReceipt(msgspec.Struct):
    """The request that was inserted last: the source in its key, its commit, and the chain after it.

    With `is_repeat` it had been inserted before, perhaps long before.
    """

    source: str
    key: str
    commit: int
    chain: str
    is_repeat: bool = False


class State(msgspec.Struct):
    """The stored state. `source` is part of the keys, `line` counts the lines before `offset`.

    `tail` is a digest of the bytes before `offset`, to see whether the input is still the same. Several
    requests may be under way at a time, so the newest receipt is `last` or one of those in `beside`.
    """

    source: str
    target: str
    form: str
    bytes_max: int
    offset: int = 0
    line: int = 0
    tail: str = ""
    planned: list[Planned] = []
    upload: int | str | None = None
    last: LastReceipt | None = None
    beside: list[LastReceipt] = []
    cuts: list[tuple[int, int]] = []
    known_from: int = 0


class _Sent(msgspec.Struct, frozen=True):
    """A chunk that was sent. Its bytes are not kept, since many chunks may be in after one that is not."""

    start: int
    end: int
    line_count: int
    key: str
    is_certain: bool
    settled_before: int

    def planned(self) -> Planned:
        return Planned(self.start, self.end, self.key)


class Checkpoint:
    """The state of one insert, on disk. Any thread may call it."""

    def __init__(self, path: Path, descriptor: int, state: State) -> None:
        self._path = path
        self._descriptor = descriptor
        self.state = state
        self._lock = threading.Lock()
        self._file = -1
        self._under_way: dict[str, _Sent] = {}
        self._settled: dict[int, _Sent] = {}
        self._unsent: set[str] = set()
        self._settled_count = 0
        self._settled_as: dict[str, int] = {}  # by the keys of receipts: the place in which each settled
        self._written_at = 0.0

    @classmethod
    def open(cls, path: Path, descriptor: int, fresh: State, *, is_again: bool) -> "Checkpoint":
        """Returns the state in a file, or the fresh one if there is none.

        With `is_again` the state begins anew. Raises InputChanged when it belongs to another input, or when
        another process uses it.
        """
        checkpoint = cls(path, descriptor, fresh)
        checkpoint._file = _open_locked(path)
        try:
            if is_again:
                checkpoint.begin_again(new_source())
            else:
                checkpoint._go_on(fresh)
        except BaseException:
            os.close(checkpoint._file)
            raise
        return checkpoint

    def _go_on(self, fresh: State) -> None:
        content = self._path.read_bytes()
        kept = _decoded(self._path, content, fresh) if content else fresh
        if not _holds(kept, self._descriptor):
            raise InputChanged(
                f"what {self._path} says was sent is no longer in the input. If this is another file by the "
                "same name, insert the rest of the old one first (its new name, the same --state), then "
                "this one with --restart."
            )
        self.state = kept

    def begin_again(self, source: str) -> None:
        """Forgets everything. The input is inserted from its beginning, under new keys."""
        kept = self.state
        self.state = State(source, kept.target, kept.form, kept.bytes_max, upload=kept.upload)
        self._write()

    def go_on_with(self, descriptor: int) -> None:
        """Notes that the whole input is in, and that another file of that name follows, under new keys."""
        last, beside = self.state.last, self.state.beside
        self._descriptor = descriptor
        self.begin_again(new_source())
        self.state.last, self.state.beside = last, beside

    def note_upload(self, upload: int | str) -> None:
        """Notes the upload to which the rows go."""
        self.state.upload = upload

    def send_again(self) -> None:
        """Goes back to the beginning of the input. It is cut and sent as before, under the same keys."""
        kept = self.state
        planned = [
            Planned(
                start, end, key_of(kept.source, start, read_exactly(self._descriptor, start, end - start))
            )
            for start, end in kept.cuts
        ]
        known = {item.start for item in planned}
        planned += [item for item in kept.planned if item.start not in known]
        self.state = State(
            kept.source, kept.target, kept.form, kept.bytes_max, planned=planned, upload=kept.upload
        )
        self._write()

    def skip(self, offset: int, line: int) -> None:
        """Notes that the bytes before the first record need no inserting."""
        if self.state.offset < offset:
            self.state.offset, self.state.line = offset, line

    def begin(self, chunk: Chunk, key: str, line_count: int) -> tuple[RefusedRow, ...]:
        """Notes that a chunk is about to be sent. Returns the rows of it that were refused before."""
        with self._lock:
            sent = _Sent(chunk.start, chunk.end, line_count, key, chunk.is_certain, self._settled_count)
            self._under_way[key] = sent
            planned = self._planned(sent)
            if planned is None and not chunk.is_certain:
                self.state.planned.append(sent.planned())
                self._unsent.add(key)
                self._write()
            return () if planned is None else planned.removed

    def note_sent(self, batch: Batch) -> None:
        """Notes that a batch is sent now. From here on it may be in."""
        self._unsent.discard(batch.key)

    def note_removed(self, batch: Batch, removed: Sequence[RefusedRow]) -> None:
        """Notes which rows of a batch are removed, before the rest of it is sent."""
        with self._lock:
            sent = self._under_way[batch.key]
            planned = self._planned(sent)
            if planned is None:
                planned = sent.planned()
                self.state.planned.append(planned)
            planned.removed = tuple(removed)
            self._write()

    def settle(self, batch: Batch, outcome: Outcome) -> None:
        """Notes that a batch is in."""
        with self._lock:
            sent = self._under_way.pop(batch.key)
            self._settled[sent.start] = sent
            self._note_receipt(sent, outcome)
            self._note_cut(sent)
            while self.state.offset in self._settled:
                sent = self._settled.pop(self.state.offset)
                self.state.offset = sent.end
                self.state.line += sent.line_count
            self.state.planned = [item for item in self.state.planned if item.start >= self.state.offset]
            if not self._under_way or time.monotonic() >= self._written_at + WRITE_SECONDS:
                self._write()

    def _note_receipt(self, sent: _Sent, outcome: Outcome) -> None:
        """Adds a receipt, and forgets those that had come before its request was begun.

        The numbers of commits cannot be compared, since each version of a stream counts its own. The receipt
        of a repeat may be old itself.
        """
        receipt, state = outcome.receipt, self.state
        if receipt is None or receipt.commit is None or receipt.chain is None:
            return
        known = [*state.beside] if state.last is None else [state.last, *state.beside]
        state.beside = [
            item
            for item in known
            if self._settled_as.get(item.key, 0) > sent.settled_before
            or (receipt.is_repeat and not item.is_repeat)
        ]
        self._settled_count += 1
        self._settled_as = {
            item.key: self._settled_as[item.key] for item in state.beside if item.key in self._settled_as
        }
        self._settled_as[outcome.key] = self._settled_count
        state.last = LastReceipt(
            state.source, outcome.key, receipt.commit, receipt.chain, is_repeat=receipt.is_repeat
        )

    def _note_cut(self, sent: _Sent) -> None:
        if sent.is_certain:
            return
        cuts = self.state.cuts
        cuts.append((sent.start, sent.end))
        if len(cuts) > CUTS_MAX:
            self.state.known_from = cuts.pop(0)[1]

    def forget(self, batch: Batch) -> None:
        """Notes that a batch was refused as a whole, since its rows may be corrected in the input."""
        with self._lock:
            sent = self._under_way.pop(batch.key)
            self.state.planned = [item for item in self.state.planned if item.start != sent.start]

    def close(self) -> None:
        """Writes the state, and releases its file."""
        if self._file >= 0:
            self.state.planned = [item for item in self.state.planned if item.key not in self._unsent]
            known = {item.start for item in self.state.planned}
            self.state.planned += [
                sent.planned() for sent in self._settled.values() if sent.start not in known
            ]
            self._write()
            os.close(self._file)
            self._file = -1

    def _planned(self, sent: _Sent) -> Planned | None:
        return next((item for item in self.state.planned if item.start == sent.start), None)

    def _write(self) -> None:
        self.state.tail = _tail(self._descriptor, self.state.offset)
        written = self._path.with_name(self._path.name + ".new")
        file = os.open(written, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
        fcntl.flock(file, fcntl.LOCK_EX)
        os.write(file, msgspec.json.encode(self.state))
        os.fsync(file)
        written.rename(self._path)
        os.close(self._file)
        self._file = file
        sync_folder(self._path.parent)
        self._written_at = time.monotonic()


def _open_locked(path: Path) -> int:
    while True:
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if path.exists() and os.path.samestat(os.fstat(file), path.stat()):
                return file
        except BlockingIOError as error:
            os.close(file)
            raise InputChanged(f"another process is inserting with {path}; wait for it.") from error
        os.close(file)  # it was replaced between opening and locking


def new_source() -> str:
    """Returns a random name that no other source has."""
    return secrets.token_hex(8)


def _decoded(path: Path, content: bytes, fresh: State) -> State:
    try:
        kept = msgspec.json.decode(content, type=State)
    except msgspec.DecodeError as error:
        raise InputChanged(f"{path} is not a state of rowkeep insert: {error}.") from error
    for name in ("target", "form", "bytes_max"):
        was, is_now = getattr(kept, name), getattr(fresh, name)
        if was != is_now:
            raise InputChanged(
                f"{path} is the state of an insert with another {name} ({was}, now {is_now}). "
                "Repeat that one, send all to the new one with --restart, or name another file with --state."
            )
    return kept


def _holds(state: State, descriptor: int) -> bool:
    """Returns whether the input still begins with what was sent."""
    size = os.fstat(descriptor).st_size
    if state.offset and (size < state.offset or _tail(descriptor, state.offset) != state.tail):
        return False
    return all(_is_there(item, state.source, descriptor) for item in state.planned)


def _is_there(planned: Planned, source: str, descriptor: int) -> bool:
    data = read_exactly(descriptor, planned.start, planned.end - planned.start)
    return key_of(source, planned.start, data) == planned.key


def _tail(descriptor: int, offset: int) -> str:
    size = min(offset, TAIL_BYTES)
    return hashlib.sha256(read_exactly(descriptor, offset - size, size)).hexdigest()
