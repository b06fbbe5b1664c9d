"""The quarantine of an upload: rows that did not fit, in the order in which they came, within bounds.

Rows come in with the commit of their request and leave as rows of the upload in the commit of a replay; so
each is in one place, whatever dies. When there is no room the oldest go out, and are counted.

Each row has a checksum that is looked at whenever it is read: what a disk has changed does not become a row.
"""

import time
import zlib

import msgspec

from rowkeep.model.errors import damaged
from rowkeep.model.quarantine import Quarantine, QuarantinedRow, Reason, RefusedRows, SkippedRows
from rowkeep.model.resources import Batch
from rowkeep.storage.base import Connection, Record
from rowkeep.storage.catalog.records import json_text

# What one statement looks at to make room: for rows, as many as are over; for bytes, some.
LOOKED_AT_MAX = 1_000
LOOKED_AT_FOR_BYTES = 64

_reasons_decoder = msgspec.json.Decoder(tuple[Reason, ...])


def keep_refused(connection: Connection, batch: Batch, refused: RefusedRows) -> SkippedRows:
    """Puts the skipped rows of a batch into the quarantine of its upload; what its receipt says of them."""
    upload_id = batch.upload_id
    connection.records("open_quarantine", upload_id=upload_id)
    rows: list[list[object]] = []
    offset = 0
    for row in refused.rows:
        reasons = row.reasons.decode()
        checksum = _checksum(row.position, batch.key, row.reasons, row.content)
        rows.append([row.position, reasons, checksum, offset, len(row.content)])
        offset += len(row.content)
    if rows:
        connection.records(
            "add_quarantined_rows",
            upload_id=upload_id,
            key=batch.key,
            now=time.time_ns() // 1_000_000,
            rows=json_text(rows),
            contents=b"".join(row.content for row in refused.rows),
        )
    dropped_count = refused.row_count - len(rows) + _make_room(connection, upload_id, refused)
    if dropped_count:
        connection.records("count_dropped_rows", upload_id=upload_id, count=dropped_count)
    return SkippedRows(refused.row_count, refused.errors, dropped_count)


def _make_room(connection: Connection, upload_id: int, refused: RefusedRows) -> int:
    """Drops the oldest rows until the bounds hold; how many."""
    dropped_count = 0
    while True:
        held = quarantine_of(connection, upload_id)
        rows_over = max(0, held.row_count - refused.bounds.rows_max)
        bytes_over = max(0, held.byte_count - refused.bounds.bytes_max)
        if not rows_over and not bytes_over:
            return dropped_count
        dropped = connection.records(
            "drop_quarantined_rows",
            upload_id=upload_id,
            rows_over=rows_over,
            bytes_over=bytes_over,
            count=min(LOOKED_AT_MAX, max(rows_over, LOOKED_AT_FOR_BYTES if bytes_over else 0)),
        )
        dropped_count += len(dropped)


def quarantine_of(connection: Connection, upload_id: int) -> Quarantine:
    """How much the quarantine of an upload holds."""
    record = connection.record("quarantine", upload_id=upload_id)
    return Quarantine() if record is None else msgspec.convert(record, Quarantine)


def are_all_there(connection: Connection, batch: Batch) -> bool:
    """Whether all rows that a replayed batch was made of are still in the quarantine."""
    record = connection.record(
        "count_quarantined_rows", upload_id=batch.upload_id, ids=json_text(batch.replayed)
    )
    return record is not None and record["count"] == len(batch.replayed)


def release(connection: Connection, batch: Batch) -> None:
    """Takes those rows out; they are rows of the upload from this commit on."""
    connection.records("release_quarantined_rows", upload_id=batch.upload_id, ids=json_text(batch.replayed))


def quarantined_row(record: Record) -> QuarantinedRow:
    """A record of quarantined_rows. Raises internal_error for one that was damaged."""
    reasons = record["reasons"].encode()
    if _checksum(record["position"], record["key"], reasons, record["content"]) != record["checksum"]:
        raise damaged(f"Row {record['id']} in the quarantine of an upload is damaged on disk.")
    return QuarantinedRow(
        id=record["id"],
        position=record["position"],
        key=record["key"],
        quarantined_at=record["quarantined_at"],
        reasons=_reasons_decoder.decode(reasons),
        content=record["content"],
    )


def _checksum(position: int, key: str | None, reasons: bytes, content: bytes) -> int:
    return zlib.crc32(content, zlib.crc32(reasons, zlib.crc32(f"{position},{key}".encode())))
