"""What a follower has read and reads next. This part of following runs on snapshots, in reader threads.

Theory
------
All that a follower knows of the rows is its positions: the number of the next row of each upload. A round
takes the rows that a snapshot has behind them as an ordinary stream of rows and reads it step by step,
each step on a snapshot, which readings share when they begin together (`rounds.py`). Every step looks
the source up in its snapshot, which is where access is checked: nothing is read that the caller may not see
by then. (The catalog version does not tell: it moves with what inserts depend on, not with every right to
read.) When it has moved, an upload may be gone or a schema changed, and the round starts over from the
positions, so that rows are read in the schema of their time.

When a version is released and its streams go on in the next (services/versions.py), a follower of `next`
first reads what is left of the uploads that it followed. They are frozen then, so their end is their end.

Rejected: a queue of new rows for each follower, filled by the writer. It has to be bounded, so that what does
not fit must be read from the journal all the same; the positions alone are enough.
"""

from collections import deque
from collections.abc import Sequence
from typing import Protocol

import msgspec

from rowkeep.model.access import Caller
from rowkeep.model.errors import ErrorCode, RowkeepError, invalid_request
from rowkeep.model.positions import UPLOADS_MAX, Positions, parse_positions
from rowkeep.model.resources import RowSlice, Upload
from rowkeep.services.read.read import ReadRequest, ReadSource, find_source, slices_of, stream_of
from rowkeep.storage.catalog.catalog import CatalogView
from rowkeep.storage.engines import RowReading, RowReadings


class FollowRequest(msgspec.Struct, frozen=True):
    """Which rows are followed, and from where: a position, or the last `tail` rows (None: all rows)."""

    rows: ReadRequest
    position: str | None
    tail: int | None


class Framing(Protocol):
    """The form in which a follower is sent rows. A position is a text with which a reader resumes."""

    def opening(self, position: str) -> bytes:
        """Returns what is sent first."""

    def rows(self, lines: Sequence[bytes], first_row: int, before: str, after: str) -> bytes:
        """Returns rows as JSON, from a number on.

        The position after row n is `before`, the number n + 1, then `after`.
        """

    def after_rows(self, position: str) -> bytes:
        """Returns what is sent after some rows."""

    def still_there(self, position: str) -> bytes:
        """Returns what is sent when nothing was sent for a while."""

    def end(self, position: str, reason: str, error: RowkeepError | None) -> bytes:
        """Returns what is sent last."""


class _Round(msgspec.Struct, frozen=True):
    """The result of a round's first step: the rows to send, and the position of the reading after them."""

    body: bytes
    positions: Positions
    slices: tuple[RowSlice, ...]
    rows_left: int | None


class Snapshot:
    """One snapshot, and the look-ups and rows that readings on it share."""

    def __init__(self, view: CatalogView) -> None:
        self.view = view
        self.rounds: dict[tuple[object, ...], _Round] = {}
        self._sources: dict[tuple[Caller, ReadRequest], ReadSource] = {}

    def source(self, caller: Caller, request: ReadRequest) -> ReadSource:
        """Returns the source of rows that a caller asks for, if permitted.

        Raises what `find_source` raises.
        """
        asked = caller, request
        if asked not in self._sources:
            self._sources[asked] = find_source(self.view, caller, request)
        return self._sources[asked]


class FollowReading:
    """The reading of one follower. It is used by one thread at a time."""

    def __init__(
        self, caller: Caller, request: FollowRequest, readings: RowReadings, framing: Framing
    ) -> None:
        self.caller = caller
        self._request = request
        self._readings = readings
        self._framing = framing
        self._reading: RowReading | None = None
        self._slices: deque[RowSlice] = deque()
        self._rows_left = request.rows.rows_max
        self._positions = Positions("", {})
        self._source_version = self.catalog_version = 0

    @property
    def position(self) -> str:
        """Returns the text with which a reader resumes where this reading is."""
        return self._positions.text()

    @property
    def is_complete(self) -> bool:
        """Returns whether as many rows were read as were asked for."""
        return self._rows_left == 0

    @property
    def is_under_way(self) -> bool:
        """Returns whether a round has rows left."""
        return bool(self._slices)

    def concerns(self, catalog_versions: set[int], upload_ids: set[int]) -> bool:
        """Returns whether commits at these catalog versions, to these uploads, may have brought new rows."""
        return catalog_versions != {self.catalog_version} or not upload_ids.isdisjoint(
            self._positions.next_rows
        )

    def open(self, view: CatalogView) -> None:
        """Finds the first position.

        Raises what listRows would raise, and invalid_request_error for a bad position.
        """
        source = self._look_up(Snapshot(view))
        uploads = source.uploads(view)
        subject = f"t.{source.table.identifier}" if source.upload is None else f"u.{source.upload.origin_id}"
        stream_of(source, self._request.rows, source.schema(uploads), ())  # are there such variables?
        if self._request.position is not None:
            self._positions = parse_positions(self._request.position, subject)
        else:
            self._positions = Positions(subject, _tail_rows(view, uploads, self._request.tail))
        self._take_up([*self._unfinished(view, source, uploads), *uploads])

    def step(self, snapshot: Snapshot) -> bytes:
        """Returns a part of the new rows; empty when there are none.

        Raises invalid_token, not_found_error and 403 errors when the caller may not read on.
        """
        version = self._source_version
        source = self._look_up(snapshot)
        if self._source_version != version:
            self._reading = None
        return self._begin_round(snapshot, source) if self._reading is None else self._read_on(snapshot.view)

    def release(self) -> None:
        """Lets go of what is held between steps. The next step begins a round."""
        self._reading = None
        self._slices.clear()

    def _look_up(self, snapshot: Snapshot) -> ReadSource:
        self._source_version = snapshot.view.catalog_version()
        return snapshot.source(self.caller, self._request.rows)

    def _begin_round(self, snapshot: Snapshot, source: ReadSource) -> bytes:
        """Takes the first step of a round.

        Readings at the same positions that ask for the same rows share its result.
        """
        place = (source.table.id, source.upload and source.upload.id, self.position, self._rows_left)
        rows = self._request.rows
        alike = (*place, rows.selected_variables, rows.format, type(self._framing))
        begun = snapshot.rounds.get(alike)
        if begun is None:
            body = self._read_round(snapshot.view, source)
            positions = Positions(self._positions.subject, dict(self._positions.next_rows))
            begun = _Round(body, positions, tuple(self._slices), self._rows_left)
            snapshot.rounds[alike] = begun
        else:
            self._positions = Positions(begun.positions.subject, dict(begun.positions.next_rows))
            self._slices = deque(begun.slices)
            self._rows_left = begun.rows_left
            self.catalog_version = self._source_version
        return begun.body

    def _read_round(self, view: CatalogView, source: ReadSource) -> bytes:
        uploads = source.uploads(view)
        uploads = [*self._unfinished(view, source, uploads), *uploads]
        self._take_up(uploads)
        self._slices = deque(self._new_slices(view, uploads))
        if not self._slices:
            return b""
        stream = stream_of(source, self._request.rows, source.schema(uploads), self._slices)
        self._reading = self._readings(stream, offset=0, with_sentinel=False)
        return self._read_on(view)

    def _read_on(self, view: CatalogView) -> bytes:
        part = b"" if self._reading is None else self._reading.step(view)
        if part is None:
            raise RuntimeError("a reading ended before its last row")
        return self._framed(part) if part else b""

    def _unfinished(self, view: CatalogView, source: ReadSource, uploads: Sequence[Upload]) -> list[Upload]:
        """Returns the uploads of earlier versions of these streams that have rows behind the positions.

        Only a follower of an unreleased version goes on past a release. It may see all rows that came before
        the release.
        """
        current = {upload.origin_id: upload.id for upload in uploads}  # the last of each stream
        known = self._positions.next_rows.keys() - {upload.id for upload in uploads}
        if not known or not source.is_unreleased:
            return []
        earlier = view.uploads.of_streams(list(current), min(known))
        begun = {upload.origin_id: upload.id for upload in reversed(earlier) if upload.id in known}
        return [
            upload
            for upload in earlier
            if begun.get(upload.origin_id, upload.id + 1) <= upload.id < current[upload.origin_id]
            and self._positions.next_rows.get(upload.id, 0) < upload.row_end
        ]

    def _take_up(self, uploads: Sequence[Upload]) -> None:
        """Follows exactly these uploads; new ones from their first row."""
        if len(uploads) > UPLOADS_MAX:
            raise invalid_request(
                f"This table has more than {UPLOADS_MAX} uploads, too many to follow together; "
                "follow them one by one."
            )
        known = self._positions.next_rows
        next_rows = {upload.id: known.get(upload.id, 0) for upload in uploads}
        for upload in uploads:
            if next_rows[upload.id] > upload.row_end:
                raise RowkeepError(
                    ErrorCode.CONFLICT,
                    f"This position is behind the last row of upload {upload.name}: rows that were read are "
                    "gone, as after restoring a backup. Leave the position out to begin anew.",
                )
        self._positions = Positions(self._positions.subject, next_rows)
        # Not before: until then a commit to an upload that is new at this version must wake the follower.
        self.catalog_version = self._source_version

    def _new_slices(self, view: CatalogView, uploads: Sequence[Upload]) -> list[RowSlice]:
        """Returns the rows behind the positions, at most as many as are still asked for."""
        found: list[RowSlice] = []
        left = self._rows_left
        for slice_ in slices_of(view, uploads, None):
            first = max(slice_.first_row, self._positions.next_rows[slice_.upload_id])
            end = slice_.row_end if left is None else min(slice_.row_end, first + left)
            if first < end:
                found.append(RowSlice(slice_.upload_id, first, end))
                left = None if left is None else left - (end - first)
        return found

    def _framed(self, part: bytes) -> bytes:
        """Returns rows of the round in the form in which they are sent. Moves the positions behind them."""
        lines = part.split(b"\n")
        lines.pop()  # behind the last line feed
        if self._rows_left is not None:
            self._rows_left -= len(lines)
        framed: list[bytes] = []
        taken = 0
        while taken < len(lines):
            slice_ = self._slices.popleft()
            end = min(slice_.row_end, slice_.first_row + len(lines) - taken)
            count = end - slice_.first_row
            before, after = self._positions.around(slice_.upload_id)
            framed.append(self._framing.rows(lines[taken : taken + count], slice_.first_row, before, after))
            taken += count
            self._positions.next_rows[slice_.upload_id] = end
            if end < slice_.row_end:
                self._slices.appendleft(RowSlice(slice_.upload_id, end, slice_.row_end))
        if not self._slices:
            self._reading = None
        framed.append(self._framing.after_rows(self.position))
        return b"".join(framed)


def _tail_rows(view: CatalogView, uploads: Sequence[Upload], tail: int | None) -> dict[int, int]:
    """Returns the positions before the last rows of a table. A tail of None means before all rows."""
    if tail is None:
        return {}
    next_rows = {upload.id: upload.row_end for upload in uploads}
    for slice_ in reversed(slices_of(view, uploads, None)):
        taken = min(tail, slice_.row_end - slice_.first_row)
        if taken:
            next_rows[slice_.upload_id] = slice_.row_end - taken
        tail -= taken
    return next_rows
