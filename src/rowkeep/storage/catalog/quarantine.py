"""The quarantine of an upload: rows that did not fit, in the order in which they came, within bounds.

Rows come in with the commit of their request and leave as rows of the upload in the commit of a replay; so
each is in one place, whatever dies. When there is no room the oldest go out, and are counted.

Each row has a checksum that is looked at whenever it is read: what a disk has changed does not become a row.
"""

import zlib
from collections.abc import Sequence

import msgspec

from rowkeep.model.errors import damaged
from rowkeep.model.quarantine import Quarantine, QuarantinedRow, Reason, RefusedRows, SkippedRows
from rowkeep.model.resources import Batch
from rowkeep.storage.base import Record
from rowkeep.storage.catalog.records import json_text
from rowkeep.storage.catalog.state import Editing, Reading

# What one statement looks at to make room: for rows, as many as are over; for bytes, some.
LOOKED_AT_MAX = 1_000
LOOKED_AT_FOR_BYTES = 64

_ANY = 2**63 - 1

_reasons_decoder = msgspec.json.Decoder(tuple[Reason, ...])


class Quarantines(Reading):
    """Reads the quarantines of uploads."""

    def find(self, upload_id: int) -> Quarantine:
        """Returns the size of an upload's quarantine, in rows and bytes."""
        record = self._connection.record("quarantine", upload_id=upload_id)
        return Quarantine() if record is None else msgspec.convert(record, Quarantine)

    def row_counts(self, upload_ids: Sequence[int]) -> dict[int, int]:
        """Returns how many rows are in the quarantines of uploads, by upload id.

        Empty quarantines are left out.
        """
        found = self._connection.records("quarantines_of_uploads", ids=json_text(upload_ids))
        return {record["upload_id"]: record["row_count"] for record in found if record["row_count"]}

    def last_id(self, upload_id: int) -> int:
        """Returns the id of the newest row in a quarantine, or 0 when it is empty."""
        return int(self._one("last_quarantined_row", upload_id=upload_id)["id"])

    def rows(
        self, upload_id: int, after_id: int, count: int, *, last_id: int = _ANY, bytes_max: int = _ANY
    ) -> list[QuarantinedRow]:
        """Returns rows of a quarantine with ids above `after_id`, up to `last_id`.

        They are bounded in bytes too, but there is at least one. Raises internal_error for a row that was
        damaged.
        """
        found = self._connection.records(
            "quarantined_rows",
            upload_id=upload_id,
            after_id=after_id,
            last_id=last_id,
            bytes_max=bytes_max,
            count=count,
        )
        return [_row(record) for record in found]

    def holds_replayed(self, batch: Batch) -> bool:
        """Returns whether all rows of a replayed batch are still in the quarantine."""
        ids = json_text(batch.replayed)
        record = self._one("count_quarantined_rows", upload_id=batch.upload_id, ids=ids)
        return bool(record["count"] == len(batch.replayed))


class QuarantineEditor(Quarantines, Editing):
    """Reads quarantines, puts rows in and takes them out."""

    def keep_refused(self, upload_id: int, key: str | None, refused: RefusedRows) -> SkippedRows:
        """Puts skipped rows into the quarantine of their upload. `key` is that of their request.

        Returns what the request's receipt says of them.
        """
        self._run("open_quarantine", upload_id=upload_id)
        rows: list[list[object]] = []
        offset = 0
        for row in refused.rows:
            checksum = _checksum(row.position, key, row.reasons, row.content)
            rows.append([row.position, row.reasons.decode(), checksum, offset, len(row.content)])
            offset += len(row.content)
        if rows:
            self._run(
                "add_quarantined_rows",
                upload_id=upload_id,
                key=key,
                now=self._now,
                rows=json_text(rows),
                contents=b"".join(row.content for row in refused.rows),
            )
        dropped_count = refused.row_count - len(rows) + self._make_room(upload_id, refused)
        if dropped_count:
            self._run("count_dropped_rows", upload_id=upload_id, count=dropped_count)
        return SkippedRows(refused.row_count, refused.errors, dropped_count)

    def _make_room(self, upload_id: int, refused: RefusedRows) -> int:
        """Drops the oldest rows until the bounds hold. Returns how many were dropped."""
        dropped_count = 0
        while True:
            held = self.find(upload_id)
            rows_over = max(0, held.row_count - refused.bounds.rows_max)
            bytes_over = max(0, held.byte_count - refused.bounds.bytes_max)
            if not rows_over and not bytes_over:
                return dropped_count
            dropped = self._connection.records(
                "drop_quarantined_rows",
                upload_id=upload_id,
                rows_over=rows_over,
                bytes_over=bytes_over,
                count=min(LOOKED_AT_MAX, max(rows_over, LOOKED_AT_FOR_BYTES if bytes_over else 0)),
            )
            dropped_count += len(dropped)

    def release_replayed(self, batch: Batch) -> None:
        """Removes the rows of a replayed batch from the quarantine.

        The same commit makes them rows of the upload.
        """
        ids = json_text(batch.replayed)
        self._run("release_quarantined_rows", upload_id=batch.upload_id, ids=ids)

    def carry(self, version_id: int) -> None:
        """Moves the quarantines of streams to the version in which they go on, where they can be replayed."""
        self._run("carry_quarantines", version_id=version_id)
        self._run("carry_quarantined_rows", version_id=version_id)

    def move(self, earlier_id: int, upload_id: int) -> None:
        """Moves the quarantine of an upload to the upload that continues its stream."""
        self._run("move_quarantine", earlier_id=earlier_id, upload_id=upload_id)
        self._run("move_quarantined_rows", earlier_id=earlier_id, upload_id=upload_id)

    def empty(self, upload_id: int) -> None:
        """Deletes the rows of a quarantine and resets its count of dropped rows."""
        self._run("empty_quarantine", upload_id=upload_id)
        self._run("forget_dropped_rows", upload_id=upload_id)


def _row(record: Record) -> QuarantinedRow:
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
