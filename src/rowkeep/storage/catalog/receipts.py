"""Receipts: the answers to requests with a key, and the rows of requests that were undone."""

from collections.abc import Sequence

import msgspec

from rowkeep.model.long_inserts import LAST_ROW, group_key
from rowkeep.model.receipts import KnownRequest, Rejection, RequestPosition
from rowkeep.model.resources import RowSlice
from rowkeep.storage.catalog import records
from rowkeep.storage.catalog.records import json_text
from rowkeep.storage.catalog.state import Editing, Reading

REJECTIONS_MAX = 1_000  # of one upload


class Receipts(Reading):
    """Reads receipts."""

    def known(self, keys: Sequence[tuple[int, str]]) -> dict[tuple[int, str], KnownRequest]:
        """Returns the requests whose rows went in, of those with the given upload ids and keys."""
        found = self._connection.records("receipts_of_keys", keys=json_text(keys))
        return {(record["upload_id"], record["key"]): records.known_request(record) for record in found}

    def find(self, upload_id: int, key: str) -> KnownRequest | None:
        """Returns a request with a key whose rows went in."""
        return self.known([(upload_id, key)]).get((upload_id, key))

    def keys(self, upload_id: int, position: RequestPosition, count: int) -> list[str]:
        """Returns the keys that an upload knows, newest first, from a position on."""
        found = self._connection.records(
            "requests_of_upload",
            upload_id=upload_id,
            time=position.time,
            skipped=position.skipped,
            count=count,
        )
        return [record["key"] for record in found]

    def last_group(self, upload_id: int, key: str) -> tuple[str, KnownRequest] | None:
        """Returns the last group of the long insert with a key, and the group's own key.

        See model/long_inserts.py.
        """
        bounds = {"first_key": group_key(key, 0), "last_key": group_key(key, LAST_ROW)}
        record = self._connection.record("last_key_between", upload_id=upload_id, **bounds)
        if record is None:
            return None
        known = self.find(upload_id, record["key"])
        return None if known is None else (record["key"], known)

    def rejection(self, upload_id: int, key: str) -> Rejection | None:
        """Returns the refusal of a request with a key, unless the request was sent again and went in."""
        record = self._connection.record("rejection", upload_id=upload_id, key=key)
        return None if record is None else records.rejection(record)

    def removed_rows(self, upload_ids: Sequence[int]) -> dict[int, list[RowSlice]]:
        """Returns the rows of undone requests by upload id, in order."""
        removed: dict[int, list[RowSlice]] = {}
        for record in self._connection.records("removed_rows", upload_ids=json_text(upload_ids)):
            slice_ = msgspec.convert(record, RowSlice)
            removed.setdefault(slice_.upload_id, []).append(slice_)
        return removed


class ReceiptEditor(Receipts, Editing):
    """Reads receipts, keeps rejections and removes the rows of undone requests."""

    def add_rejection(self, upload_id: int, key: str, rejection: Rejection) -> None:
        """Stores the answer to a refused request with a key. Deletes the oldest above `REJECTIONS_MAX`."""
        self._run(
            "add_rejection",
            upload_id=upload_id,
            key=key,
            now=rejection.rejected_at,
            message=rejection.message,
            row_errors=json_text(rejection.row_errors),
            row_error_count=rejection.row_error_count,
        )
        self._run("trim_rejections", upload_id=upload_id, count=REJECTIONS_MAX)

    def carry_rejections(self, version_id: int) -> None:
        """Moves the rejections of streams to the version in which they continue, where they are corrected."""
        self._run("carry_rejections", version_id=version_id)

    def move_rejections(self, earlier_id: int, upload_id: int) -> None:
        """Moves the rejections of an upload to the upload that continues its stream."""
        self._run("move_rejections", earlier_id=earlier_id, upload_id=upload_id)

    def remove_rows(self, upload_id: int, key: str, user_id: int) -> None:
        """Removes the rows of a request that went in, for a user. Doing it again changes nothing."""
        removed = self._connection.record(
            "remove_rows", upload_id=upload_id, key=key, user_id=user_id, now=self._now
        )
        if removed is not None:
            self._run("count_removed_rows", upload_id=upload_id, row_count=removed["row_count"])
