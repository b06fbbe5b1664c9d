"""The journal: groups of batches in, entries out.

Theory
------
A group is whatever batches waited while the last commit ran. It becomes one transaction:

1. every batch whose catalog version is not the current one is stale and written nowhere: a token may
   have been revoked, an upload deleted, a schema changed. Its sender checks again and resubmits. This
   is the only check there is, and it runs inside the transaction, so it cannot race;
2. a batch whose idempotency key is known gets the receipt of the first one (or KeyReused when the
   bodies differ), also when the first one stands in the same group;
3. the rest go in: per upload one entry that holds their bodies, one a line. Rows of theirs that were
   skipped go into the quarantine (storage/quarantine.py), and replayed ones out of it, in the same commit.

The common group (one catalog version, no keys, nothing skipped or stale) is one statement that is a commit by
itself. That is not about SQLite's speed: each statement costs the writer two hand-overs of the
interpreter lock, and under load each takes as long as the event loop's turn, about a millisecond.

A batch that brings a new schema is a group of its own: schema version, entry and the move of the
catalog version are one commit. So is a large batch, which comes in frames that are already encoded
and becomes one entry a frame.

Payloads are zstd level 1: it costs less than writing the bytes would. Every entry names its codec, and
has a checksum that is looked at whenever the entry is read: what a disk has changed is not served.
Rejected: one entry per batch (three times the statements and twice the bytes for small batches).
"""

import time
import zlib
from collections.abc import Sequence
from typing import Any

import msgspec
import zstandard

from rowkeep.model.errors import damaged
from rowkeep.model.quarantine import SkippedRows
from rowkeep.model.resources import Batch, Entry, Frame, Receipt
from rowkeep.storage.base import Connection, Database, KeyReused, Outcome, StaleBatch
from rowkeep.storage.editor import add_schema
from rowkeep.storage.quarantine import are_all_there, keep_refused, release
from rowkeep.storage.records import replayed_receipt

CODEC_PLAIN = 0
CODEC_ZSTD = 1
# Compressing less than a page saves no write and costs a hand-over of the interpreter lock.
_COMPRESSED_BYTES_MIN = 4096

_ReceiptRecord = dict[str, Any]
_Known = dict[tuple[int, str], _ReceiptRecord]


class Journal:
    """Writes groups. Used by one thread at a time."""

    def __init__(self) -> None:
        self._compressor = zstandard.ZstdCompressor(level=1)

    def commit_group(self, database: Database, batches: Sequence[Batch]) -> list[Outcome]:
        """Writes a group durably; an outcome for each batch, in order."""
        version = batches[0].catalog_version
        is_common = all(
            batch.key is None and batch.catalog_version == version and batch.refused is None
            for batch in batches
        )
        is_common = is_common and not batches[0].needs_own_group
        if is_common and self._commit_entries(database, batches, version):
            return [Receipt(batch.row_count) for batch in batches]
        with database.writing() as connection:
            return self._settle_group(connection, batches)

    def _commit_entries(self, database: Database, batches: Sequence[Batch], version: int) -> bool:
        """Whether the group went in, as one statement; it does not when it is stale."""
        entries, payloads = self._entries(batches)
        if not entries:
            return False
        return database.commit_statement(
            "add_entries",
            entries=_json_text(entries),
            payloads=payloads,
            catalog_version=version,
            now=_now_ms(),
        ) == len(entries)

    def _settle_group(self, connection: Connection, batches: Sequence[Batch]) -> list[Outcome]:
        version = connection.records("catalog_version")[0]["version"]
        known = _known_receipts(connection, batches)
        outcomes: list[Outcome] = []
        written: list[Batch] = []
        for batch in batches:
            outcome = _settle(connection, batch, version, known)
            if outcome is None:
                written.append(batch)
                skipped = None if batch.refused is None else keep_refused(connection, batch, batch.refused)
                outcome = Receipt(batch.row_count, batch.change, skipped)
                _note_key(batch, skipped, known)
            outcomes.append(outcome)
        if written:
            self._write(connection, written, version, known)
        return outcomes

    def _write(self, connection: Connection, batches: Sequence[Batch], version: int, known: _Known) -> None:
        first = batches[0]
        for frame in first.frames:
            _add_entries(connection, [_entry(first, frame, 0)], frame.payload, version)
        entries, payloads = self._entries(batches)
        if entries:
            _add_entries(connection, entries, payloads, version)
        receipts = [
            _receipt_parameters(batch, known[batch.upload_id, batch.key])
            for batch in batches
            if batch.key is not None
        ]
        if receipts:
            connection.records("add_receipts", receipts=_json_text(receipts))
        if first.replayed:
            release(connection, first)
        if first.change is not None:
            _change_schema(connection, first)

    def _entries(self, batches: Sequence[Batch]) -> tuple[list[list[int]], bytes]:
        by_upload: dict[int, list[Batch]] = {}
        for batch in batches:
            if batch.body:
                by_upload.setdefault(batch.upload_id, []).append(batch)
        entries: list[list[int]] = []
        payloads: list[bytes] = []
        offset = 0
        for members in by_upload.values():
            lines = b"\n".join([batch.body for batch in members])
            frame = self.frame(lines, sum([batch.row_count for batch in members]))
            entries.append(_entry(members[0], frame, offset))
            payloads.append(frame.payload)
            offset += len(frame.payload)
        return entries, b"".join(payloads)

    def frame(self, lines: bytes, row_count: int) -> Frame:
        """Encodes request bodies, one a line, as the journal keeps them."""
        if len(lines) < _COMPRESSED_BYTES_MIN:
            return Frame(row_count, len(lines), CODEC_PLAIN, lines)
        return Frame(row_count, len(lines), CODEC_ZSTD, self._compressor.compress(lines))


def _entry(batch: Batch, frame: Frame, offset: int) -> list[int]:
    facts = [batch.upload_id, frame.row_count, frame.byte_count, batch.schema.version, frame.codec]
    return [*facts, offset, len(frame.payload), _checksum(facts, frame.payload)]


def _checksum(facts: list[int], payload: bytes) -> int:
    """CRC-32 of a payload and of what its entry says of it; where it stands is seen from its neighbours."""
    return zlib.crc32(payload, zlib.crc32(b"%d,%d,%d,%d,%d" % tuple(facts)))


def _add_entries(
    connection: Connection, entries: list[list[int]], payloads: bytes, catalog_version: int
) -> None:
    connection.records(
        "add_entries",
        entries=_json_text(entries),
        payloads=payloads,
        catalog_version=catalog_version,
        now=_now_ms(),
    )


def entry_lines(entry: Entry) -> bytes:
    """The request bodies of an entry, one a line. Raises internal_error for an entry that was damaged."""
    facts = [entry.upload_id, entry.row_count, entry.byte_count, entry.schema_version, entry.codec]
    if _checksum(facts, entry.payload) != entry.checksum:
        raise damaged(f"The rows of upload {entry.upload_id} from {entry.first_row} on are damaged on disk.")
    return decoded_lines(entry.codec, entry.payload)


def decoded_lines(codec: int, payload: bytes) -> bytes:
    """The request bodies of a payload, one a line."""
    if codec == CODEC_PLAIN:
        return payload
    if codec == CODEC_ZSTD:
        return zstandard.decompress(payload)
    raise ValueError(f"the journal has no codec {codec}")


def _settle(connection: Connection, batch: Batch, version: int, known: _Known) -> Outcome | None:
    """The outcome of a batch that is not to be written; None when it is."""
    if batch.catalog_version != version:
        return StaleBatch()
    if batch.replayed and not are_all_there(connection, batch):
        return StaleBatch()
    earlier = None if batch.key is None else known.get((batch.upload_id, batch.key))
    return None if earlier is None else _repeat(batch, earlier)


def _note_key(batch: Batch, skipped: SkippedRows | None, known: _Known) -> None:
    if batch.key is not None:
        known[batch.upload_id, batch.key] = {
            "digest": batch.digest,
            "row_count": batch.row_count,
            "change": None if batch.change is None else _json_text(batch.change),
            "skipped": None if skipped is None else _json_text(skipped),
        }


def _repeat(batch: Batch, earlier: _ReceiptRecord) -> Outcome:
    if earlier["digest"] != batch.digest:
        return KeyReused()
    return replayed_receipt(earlier)


def _known_receipts(connection: Connection, batches: Sequence[Batch]) -> _Known:
    keys = [[batch.upload_id, batch.key] for batch in batches if batch.key is not None]
    if not keys:
        return {}
    records = connection.records("receipts_of_keys", keys=_json_text(keys))
    return {(record["upload_id"], record["key"]): record for record in records}


def _change_schema(connection: Connection, batch: Batch) -> None:
    add_schema(connection, batch.upload_id, batch.schema)
    connection.records("set_schema_version", upload_id=batch.upload_id, version=batch.schema.version)
    connection.records("catalog_changed")


def _receipt_parameters(batch: Batch, record: _ReceiptRecord) -> list[object]:
    digest = batch.digest.hex() if batch.digest is not None else ""
    return [batch.upload_id, batch.key, digest, batch.row_count, record["change"], record["skipped"]]


def _json_text(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
