"""The journal: groups of batches in, entries out.

Theory
------
A group is whatever batches waited while the last commit ran. It becomes one transaction:

1. every batch whose catalog version is not the current one is stale and written nowhere: a token may
   have been revoked, an upload deleted, a schema changed. Its sender checks again and resubmits. This
   is the only check there is, and it runs inside the transaction, so it cannot race;
2. a batch whose idempotency key is known gets the receipt of the first one (or KeyReused when the
   bodies differ, KeyUndone when it was undone), also when the first one stands in the same group;
3. a batch that expects another offset token than its upload has is refused; tokens move with each batch;
4. the rest go in: per upload one entry that holds their bodies, one a line. Rows of theirs that were
   skipped go into the quarantine (`catalog/quarantine.py`), and replayed ones out of it, in the same commit.

The common group (one catalog version, new keys or none, no offsets, nothing skipped or stale) is one
statement that is a commit by itself. That is not about SQLite's speed: each statement costs the writer two
hand-overs of the interpreter lock, and under load each takes as long as the event loop's turn, about a
millisecond. So it rests on what the journal remembers of where uploads end (placement.py) and on keys being
new, and the statement says so: where that is not true it fails and adds nothing, and the group goes the long
way, which asks.

A batch that brings a new schema is a group of its own: schema version, entry and the move of the
catalog version are one commit. So is a large batch, which comes in frames that are already encoded
and becomes one entry a frame (entries.py tells how an entry is encoded).

Rejected: one entry per batch (three times the statements and twice the bytes for small batches).
"""

import time
from collections.abc import Iterable, Sequence

import msgspec

from rowkeep.model.receipts import KnownRequest
from rowkeep.model.resources import Batch, Frame, Receipt
from rowkeep.storage.base import (
    Connection,
    Database,
    DuplicateError,
    KeyReused,
    KeyUndone,
    Outcome,
    StaleBatch,
)
from rowkeep.storage.catalog.catalog import CatalogEditor
from rowkeep.storage.journal.entries import EntryEncoder, frame_checksum
from rowkeep.storage.journal.placement import Placement, StreamEnd, StreamEnds, moved_offset, stream_ends

_KnownRequests = dict[tuple[int, str], KnownRequest]


class Journal:
    """Writes groups. Used by one thread at a time."""

    def __init__(self) -> None:
        self._encoder = EntryEncoder()
        self._ends = StreamEnds()

    def commit_group(self, database: Database, batches: Sequence[Batch]) -> list[Outcome]:
        """Writes a group durably; an outcome for each batch, in order."""
        try:
            receipts = self._commit_common(database, batches) if _is_common(batches) else None
            if receipts is not None:
                return receipts
            with database.writing() as connection:
                outcomes, ends = self._settle_group(connection, batches)
        except BaseException:
            self._ends.forget()
            raise
        self._ends.learn(ends)
        return outcomes

    def _commit_common(self, database: Database, batches: Sequence[Batch]) -> list[Outcome] | None:
        """Receipts when the group went in as one statement; it does not when it is stale or knows a key."""
        ends = self._ends.of({batch.upload_id for batch in batches})
        if ends is None:
            return None
        placement = Placement(ends)
        receipts = [placement.place(batch) for batch in batches]
        entries, payloads = self._entries(batches, placement)
        if not entries:
            return None
        group = _Group(entries, payloads, _keyed(zip(batches, receipts, strict=True)))
        try:
            database.commit_statement("add_group", **group.parameters(batches[0].catalog_version))
        except DuplicateError:
            return None
        self._ends.learn(placement.after)
        return list(receipts)

    def _settle_group(
        self, connection: Connection, batches: Sequence[Batch]
    ) -> tuple[list[Outcome], dict[int, StreamEnd]]:
        """The outcomes, and where the uploads end once they are committed."""
        upload_ids = sorted({batch.upload_id for batch in batches})
        state = connection.records("group_state", upload_ids=_json_text(upload_ids))
        version = state[0]["version"]
        editor = CatalogEditor(connection)
        keys = [(batch.upload_id, batch.key) for batch in batches if batch.key is not None]
        known = editor.receipts.known(keys) if keys else {}
        placement = Placement(stream_ends(state))
        outcomes: list[Outcome] = []
        written: list[tuple[Batch, Receipt]] = []
        tokens = {record["upload_id"]: record["latest_offset_token"] for record in state}
        for batch in batches:
            outcome = _settle(editor, batch, version, known) or moved_offset(batch, tokens)
            if outcome is None:
                outcome = placement.place(batch)
                if batch.refused is not None:
                    skipped = editor.quarantine.keep_refused(batch.upload_id, batch.key, batch.refused)
                    outcome = msgspec.structs.replace(outcome, skipped=skipped)
                written.append((batch, outcome))
                if batch.key is not None:
                    known[batch.upload_id, batch.key] = KnownRequest(batch.digest, outcome)
            outcomes.append(outcome)
        if written:
            self._write(connection, editor, written, placement, version)
        return outcomes, placement.after

    def _write(
        self,
        connection: Connection,
        editor: CatalogEditor,
        written: Sequence[tuple[Batch, Receipt]],
        placement: Placement,
        version: int,
    ) -> None:
        batches = [batch for batch, _ in written]
        first = batches[0]
        if first.frames:
            _add_frames(connection, first, placement, version)
        entries, payloads = self._entries(batches, placement)
        group = _Group(entries, payloads, _keyed(written))
        if group.entries or group.receipts:
            connection.records("add_group", **group.parameters(version))
        tokens = {
            batch.upload_id: batch.offset.token for batch in batches if batch.offset and batch.offset.token
        }
        if tokens:
            connection.records("set_offset_tokens", tokens=_json_text(list(tokens.items())))
        if first.replayed:
            editor.quarantine.release_replayed(first)
        if first.change is not None:
            editor.uploads.change_schema(first.upload_id, first.schema)

    def _entries(self, batches: Sequence[Batch], placement: Placement) -> tuple[list[list[object]], bytes]:
        by_upload: dict[int, list[Batch]] = {}
        for batch in batches:
            if batch.body:
                by_upload.setdefault(batch.upload_id, []).append(batch)
        entries: list[list[object]] = []
        payloads: list[bytes] = []
        offset = 0
        for upload_id, members in by_upload.items():
            lines = b"\n".join([batch.body for batch in members])
            frame = self._encoder.frame(lines, sum([batch.row_count for batch in members]))
            first_row, chain = placement.before[upload_id].row_count, placement.after[upload_id].chain
            entries.append([*_entry(members[0], frame, offset), first_row, 0, chain.hex()])
            payloads.append(frame.payload)
            offset += len(frame.payload)
        return entries, b"".join(payloads)


def _entry(batch: Batch, frame: Frame, offset: int) -> list[int]:
    checksum = frame_checksum(batch.upload_id, batch.schema.version, frame)
    facts = [batch.upload_id, frame.row_count, frame.byte_count, batch.schema.version, frame.codec]
    return [*facts, offset, len(frame.payload), checksum]


class _Group(msgspec.Struct, frozen=True):
    """What goes in with one statement: entries, their payloads one after the other, receipts."""

    entries: list[list[object]]
    payloads: bytes
    receipts: list[list[object]]

    def parameters(self, catalog_version: int) -> dict[str, object]:
        """Those of `add_group`."""
        return {
            "entries": _json_text(self.entries),
            "payloads": self.payloads,
            "receipts": _json_text(self.receipts),
            "catalog_version": catalog_version,
            "now": _now_ms(),
        }


def _keyed(written: Iterable[tuple[Batch, Receipt]]) -> list[list[object]]:
    """The receipts to keep: those of batches with a key."""
    return [_receipt_parameters(batch, receipt) for batch, receipt in written if batch.key is not None]


def _add_frames(connection: Connection, batch: Batch, placement: Placement, version: int) -> None:
    """An entry a frame: one batch, so the chain moves with the last."""
    first_row = placement.before[batch.upload_id].row_count
    for number, frame in enumerate(batch.frames, 1):
        is_continued = number < len(batch.frames)
        chains = placement.before if is_continued else placement.after
        chain = chains[batch.upload_id].chain.hex()
        entry = [*_entry(batch, frame, 0), first_row, int(is_continued), chain]
        connection.records("add_group", **_Group([entry], frame.payload, []).parameters(version))
        first_row += frame.row_count


def _is_common(batches: Sequence[Batch]) -> bool:
    version = batches[0].catalog_version
    is_common = all(
        batch.offset is None and batch.refused is None and batch.catalog_version == version
        for batch in batches
    )
    return is_common and not batches[0].needs_own_group


def _settle(editor: CatalogEditor, batch: Batch, version: int, known: _KnownRequests) -> Outcome | None:
    """The outcome of a batch that is not to be written; None when it is."""
    if batch.catalog_version != version:
        return StaleBatch()
    if batch.replayed and not editor.quarantine.holds_replayed(batch):
        return StaleBatch()
    earlier = None if batch.key is None else known.get((batch.upload_id, batch.key))
    if earlier is None:
        return None
    if earlier.digest != batch.digest:
        return KeyReused()
    if earlier.removed_at is not None:
        return KeyUndone()
    return msgspec.structs.replace(earlier.receipt, replayed=True)


def _receipt_parameters(batch: Batch, receipt: Receipt) -> list[object]:
    change = None if batch.change is None else _json_text(batch.change)
    digest = batch.digest.hex() if batch.digest is not None else ""
    numbers = [receipt.commit, receipt.first_row]
    proof = [batch.sha256.hex(), None if receipt.chain is None else receipt.chain.hex()]
    skipped = None if receipt.skipped is None else _json_text(receipt.skipped)
    return [batch.upload_id, batch.key, digest, batch.row_count, change, *numbers, *proof, skipped]


def _json_text(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
