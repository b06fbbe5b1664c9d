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

The common group (one catalog version, new keys or none, no offsets, nothing skipped or stale) is committed in
one step (`Database.commit_group`). This is not about the database's speed: each step costs the writer two
hand-overs of the interpreter lock, and under load each takes as long as the event loop's turn, about a
millisecond. So the step rests on what the journal remembers of where uploads end (placement.py) and on keys
being new, and it says so: where that is not true it fails and adds nothing, and the group goes the long way,
which asks.

A batch that brings a new schema is a group of its own: schema version, entry and the move of the
catalog version are one commit. So is a large batch, which comes in frames that are already encoded
and becomes one entry a frame (entries.py tells how an entry is encoded).

Rejected: one entry per batch (three times the statements and twice the bytes for small batches).
"""

import time
from collections.abc import Iterable, Sequence

import msgspec

from rowkeep.model.receipts import KeyReused, KeyUndone, KnownRequest, Outcome, StaleBatch
from rowkeep.model.resources import Batch, Frame, Receipt
from rowkeep.storage.base import Connection, Database, DuplicateError, Group, NewEntry
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
        """Writes a group durably. Returns an outcome for each batch, in order."""
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
        """Commits a group in one step.

        Returns None, and writes nothing, when the group is stale or a key is known.
        """
        ends = self._ends.of({batch.upload_id for batch in batches})
        if ends is None:
            return None
        placement = Placement(ends)
        receipts = [placement.place(batch) for batch in batches]
        entries = self._entries(batches, placement)
        if not entries:
            return None
        written = zip(batches, receipts, strict=True)
        try:
            database.commit_group(_group(entries, written, batches[0].catalog_version))
        except DuplicateError:
            return None
        self._ends.learn(placement.after)
        return list(receipts)

    def _settle_group(
        self, connection: Connection, batches: Sequence[Batch]
    ) -> tuple[list[Outcome], dict[int, StreamEnd]]:
        """Returns the outcomes, and where each upload ends after the commit."""
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
                    known[batch.upload_id, batch.key] = KnownRequest(
                        batch.request_digest, outcome, batch.upload_id
                    )
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
        group = _group(self._entries(batches, placement), written, version)
        if group.entries or group.receipts:
            connection.add_group(group)
        tokens = {
            batch.upload_id: batch.offset.token for batch in batches if batch.offset and batch.offset.token
        }
        if tokens:
            connection.records("set_offset_tokens", tokens=_json_text(list(tokens.items())))
        if first.replayed:
            editor.quarantine.release_replayed(first)
        if first.change is not None:
            editor.uploads.change_schema(first.upload_id, first.schema)

    def _entries(self, batches: Sequence[Batch], placement: Placement) -> list[NewEntry]:
        by_upload: dict[int, list[Batch]] = {}
        for batch in batches:
            if batch.body:
                by_upload.setdefault(batch.upload_id, []).append(batch)
        entries: list[NewEntry] = []
        for upload_id, members in by_upload.items():
            lines = b"\n".join([batch.body for batch in members])
            frame = self._encoder.frame(lines, sum([batch.row_count for batch in members]))
            first_row, chain = placement.before[upload_id].row_count, placement.after[upload_id].chain
            entries.append(_entry(members[0], frame, first_row, chain))
        return entries


def _add_frames(connection: Connection, batch: Batch, placement: Placement, version: int) -> None:
    """Adds an entry for each frame of a batch. The chain moves with the last one."""
    first_row = placement.before[batch.upload_id].row_count
    for number, frame in enumerate(batch.frames, 1):
        is_continued = number < len(batch.frames)
        chains = placement.before if is_continued else placement.after
        entry = _entry(batch, frame, first_row, chains[batch.upload_id].chain, is_continued=is_continued)
        connection.add_group(_group([entry], [], version))
        first_row += frame.row_count


def _entry(
    batch: Batch, frame: Frame, first_row: int, chain: bytes, *, is_continued: bool = False
) -> NewEntry:
    version = batch.schema.version
    checksum = frame_checksum(batch.upload_id, version, frame)
    return NewEntry(batch.upload_id, version, frame, checksum, first_row, chain, is_continued)


def _group(entries: Sequence[NewEntry], written: Iterable[tuple[Batch, Receipt]], version: int) -> Group:
    """Returns a group to commit now, with the receipts of the batches that have a key."""
    keyed = [pair for pair in written if pair[0].key is not None]
    return Group(version, time.time_ns() // 1_000_000, entries, keyed)


def _is_common(batches: Sequence[Batch]) -> bool:
    version = batches[0].catalog_version
    is_common = all(
        batch.offset is None and batch.refused is None and batch.catalog_version == version
        for batch in batches
    )
    return is_common and not batches[0].needs_own_group


def _settle(editor: CatalogEditor, batch: Batch, version: int, known: _KnownRequests) -> Outcome | None:
    """Returns the outcome of a batch that must not be written, or None for a batch to write."""
    if batch.catalog_version != version:
        return StaleBatch()
    if batch.replayed and not editor.quarantine.holds_replayed(batch):
        return StaleBatch()
    earlier = None if batch.key is None else known.get((batch.upload_id, batch.key))
    if earlier is None:
        return None
    if earlier.request_digest != batch.request_digest:
        return KeyReused()
    if earlier.removed_at is not None:
        return KeyUndone()
    return msgspec.structs.replace(earlier.receipt, replayed=True)


def _json_text(value: object) -> str:
    return msgspec.json.encode(value).decode()
