"""The journal: groups of batches in, entries out.

Theory
------
A group is whatever batches waited while the last commit ran. It becomes one transaction:

1. every batch whose catalog version is not the current one is stale and written nowhere: a token may
   have been revoked, an upload deleted, a schema changed. Its sender checks again and resubmits. This
   is the only check there is, and it runs inside the transaction, so it cannot race;
2. a batch whose idempotency key is known gets the receipt of the first one (or KeyReused when the
   bodies differ), also when the first one stands in the same group;
3. the rest go in: per upload one entry that holds their bodies, one a line. The number of statements
   does not depend on the size of the group, since each costs two hand-overs of the interpreter lock.

A batch that brings a new schema is a group of its own: schema version, entry and the move of the
catalog version are one commit. So is a large batch, which comes in frames that are already encoded
and becomes one entry a frame.

Payloads are zstd level 1: it costs less than writing the bytes would. Every entry names its codec.
Rejected: one entry per batch (three times the statements and twice the bytes for small batches).
"""

import time
from collections.abc import Sequence
from typing import Any

import msgspec
import zstandard

from rowkeep.model.growth import SchemaChange
from rowkeep.model.resources import Batch, Entry, Frame, Receipt
from rowkeep.storage.base import Connection, KeyReused, Outcome, StaleBatch
from rowkeep.storage.catalog import add_schema

CODEC_PLAIN = 0
CODEC_ZSTD = 1
_COMPRESSED_BYTES_MIN = 256

_ReceiptRecord = dict[str, Any]


class Journal:
    """Writes groups. Used by one thread at a time."""

    def __init__(self) -> None:
        self._compressor = zstandard.ZstdCompressor(level=1)

    def commit_group(self, connection: Connection, batches: Sequence[Batch]) -> list[Outcome]:
        """Writes a group within the connection's transaction; an outcome for each batch, in order."""
        version = connection.records("catalog_version")[0]["version"]
        if all(batch.key is None and batch.catalog_version == version for batch in batches):
            self._write(connection, batches)
            return [Receipt(batch.row_count, batch.change) for batch in batches]
        known = _known_receipts(connection, batches)
        outcomes: list[Outcome] = []
        written: list[Batch] = []
        for batch in batches:
            outcome = _settle(batch, version, known)
            if outcome is None:
                written.append(batch)
                outcome = Receipt(batch.row_count, batch.change)
            outcomes.append(outcome)
        if written:
            self._write(connection, written)
        return outcomes

    def _write(self, connection: Connection, batches: Sequence[Batch]) -> None:
        for batch in batches:
            if batch.change is not None:
                _change_schema(connection, batch)
        if len(batches) == 1:
            for frame in batches[0].frames:
                _add_entries(connection, [_entry(batches[0], frame, 0)], frame.payload)
        self._write_bodies(connection, [batch for batch in batches if batch.body])
        receipts = [_receipt_parameters(batch) for batch in batches if batch.key is not None]
        if receipts:
            connection.records("add_receipts", receipts=_json_text(receipts), now=_now_ms())

    def _write_bodies(self, connection: Connection, batches: Sequence[Batch]) -> None:
        by_upload: dict[int, list[Batch]] = {}
        for batch in batches:
            by_upload.setdefault(batch.upload_id, []).append(batch)
        entries: list[list[int]] = []
        payloads: list[bytes] = []
        offset = 0
        for members in by_upload.values():
            frame = self.frame(
                b"\n".join([batch.body for batch in members]), sum(batch.row_count for batch in members)
            )
            entries.append(_entry(members[0], frame, offset))
            payloads.append(frame.payload)
            offset += len(frame.payload)
        if entries:
            _add_entries(connection, entries, b"".join(payloads))

    def frame(self, lines: bytes, row_count: int) -> Frame:
        """Encodes request bodies, one a line, as the journal keeps them."""
        if len(lines) < _COMPRESSED_BYTES_MIN:
            return Frame(row_count, len(lines), CODEC_PLAIN, lines)
        return Frame(row_count, len(lines), CODEC_ZSTD, self._compressor.compress(lines))


def _entry(batch: Batch, frame: Frame, offset: int) -> list[int]:
    return [
        batch.upload_id,
        frame.row_count,
        frame.byte_count,
        batch.schema.version,
        frame.codec,
        offset,
        len(frame.payload),
    ]


def _add_entries(connection: Connection, entries: list[list[int]], payloads: bytes) -> None:
    text = _json_text(entries)
    connection.records("add_entries", entries=text, payloads=payloads)
    connection.records("grow_streams", entries=text)


def entry_lines(entry: Entry) -> bytes:
    """The request bodies of an entry, one a line."""
    if entry.codec == CODEC_PLAIN:
        return entry.payload
    if entry.codec == CODEC_ZSTD:
        return zstandard.decompress(entry.payload)
    raise ValueError(f"entry at row {entry.first_row} has the unknown codec {entry.codec}")


def _settle(batch: Batch, version: int, known: dict[tuple[int, str], _ReceiptRecord]) -> Outcome | None:
    """The outcome of a batch that is not to be written; None, and its key noted, when it is."""
    if batch.catalog_version != version:
        return StaleBatch()
    if batch.key is not None:
        earlier = known.get((batch.upload_id, batch.key))
        if earlier is not None:
            return _repeat(batch, earlier)
        known[batch.upload_id, batch.key] = {
            "digest": batch.digest,
            "row_count": batch.row_count,
            "change": None if batch.change is None else _json_text(batch.change),
        }
    return None


def _repeat(batch: Batch, earlier: _ReceiptRecord) -> Outcome:
    if earlier["digest"] != batch.digest:
        return KeyReused()
    change = earlier["change"]
    return Receipt(
        row_count=earlier["row_count"],
        change=None if change is None else msgspec.json.decode(change, type=SchemaChange),
        replayed=True,
    )


def _known_receipts(
    connection: Connection, batches: Sequence[Batch]
) -> dict[tuple[int, str], _ReceiptRecord]:
    keys = [[batch.upload_id, batch.key] for batch in batches if batch.key is not None]
    if not keys:
        return {}
    records = connection.records("receipts_of_keys", keys=_json_text(keys))
    return {(record["upload_id"], record["key"]): record for record in records}


def _change_schema(connection: Connection, batch: Batch) -> None:
    add_schema(connection, batch.upload_id, batch.schema)
    connection.records("set_schema_version", upload_id=batch.upload_id, version=batch.schema.version)
    connection.records("catalog_changed")


def _receipt_parameters(batch: Batch) -> list[object]:
    change = None if batch.change is None else _json_text(batch.change)
    digest = batch.digest.hex() if batch.digest is not None else ""
    return [batch.upload_id, batch.key, digest, batch.row_count, change]


def _json_text(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
