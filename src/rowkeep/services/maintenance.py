"""Maintenance: rows leave the journal for segments, small segments become larger ones.

What is sealed, and why
-----------------------
The journal is durable and is read like a segment, so rows may stay there; they leave because it must not
grow for ever and because segments are smaller and faster to read. Each file costs an fsync, a row of the
catalog and a place in the folder, so a seal should be worth a file:

* *size*: an upload with `seal_bytes_min` waiting (16 MiB as it was sent) is sealed at once;
* *age*: one with a sixteenth of that is sealed when its oldest row has waited `seal_minutes_max`;
* *room*: what is smaller stays, however old. Only when the whole journal holds more than
  `journal_bytes_max` are the uploads with most waiting sealed, until it is below three quarters of that: so
  thousands of streams with a trickle each make a file each when they have filled the journal together,
  not one every few minutes;
* *release*: what a released version holds does not change any more and is sealed whatever its size.

Compaction: `COMPACTED_MIN` or more neighbours of about the same size (within a factor of eight) become one
segment, up to `COMPACTED_BYTES_MAX` and the column chunks of model/wide_rows.py. Each row is rewritten about
once for every factor of eight, so three times from 1 MiB to the largest.

When rows arrive faster than they can be sealed, the journal outgrows its bound and inserts are slowed down:
by nothing at the bound, by a rest of twice each commit's time at 1.25 times the bound, and so on until as
many rows leave as arrive. So the journal stays near its bound, and nobody meets a wall.

One loop looks and works. It rests between looks for some times as long as the look took, so that it
never takes more than a few percent of a reader's thread, however many uploads there are. What goes wrong
leaves everything as it was; the upload is tried again later.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from typing import TypeVar

import msgspec
import structlog

from rowkeep.model.resources import Segment, UnsealedUpload
from rowkeep.model.schema import Schema
from rowkeep.model.wide_rows import CHUNKS_MAX, chunk_count
from rowkeep.storage.catalog.catalog import CatalogView
from rowkeep.storage.catalog.doors import Doors
from rowkeep.storage.engines import Sealer

AGED_SHARE = 16
ROOM_SHARE = 0.75
UPLOADS_PER_LOOK = 1_000
COMPACTED_MIN = 8
COMPACTED_OF_LARGEST_MIN = 4
COMPACTED_BYTES_MAX = 256 * 1024 * 1024
SEGMENTS_MAX = 10_000
DROPPED_BYTES_MAX = 8 * 1024 * 1024
REST_FACTOR = 8.0
SEALING_SECONDS_MAX = 2.0
PAUSE_SECONDS_MIN = 1.0
PAUSE_SECONDS_MAX = 10.0
PAUSE_FACTOR = 20.0
RETRY_SECONDS = 60.0
MS_PER_MINUTE = 60_000

Result = TypeVar("Result")

_log = structlog.get_logger("rowkeep.maintain")


class SealingPolicy(msgspec.Struct, frozen=True):
    """The limits that decide when rows leave the journal; see above.

    Bytes are those of the bodies as sent.
    """

    seal_bytes_min: int
    seal_minutes_max: float
    journal_bytes_max: int


class MaintenanceHealth(msgspec.Struct):
    """Counts since the start of the process, and the size of the journal at the last look."""

    journal_bytes: int = 0
    segments_sealed: int = 0
    rows_sealed: int = 0
    segments_compacted: int = 0
    failures: int = 0


class Maintenance:
    """Seals and compacts, one upload at a time, until it is cancelled."""

    def __init__(
        self, doors: Doors, sealer: Sealer, policy: SealingPolicy, slow_down: Callable[[float], None]
    ) -> None:
        self._doors = doors
        self._slow_down = slow_down
        self._sealer = sealer
        self._policy = policy
        self._retry_at: dict[int, float] = {}
        self._to_compact: set[int] = set()
        self.health = MaintenanceHealth()

    async def run(self) -> None:
        """Looks and works for ever."""
        await self._tried(self.recover())
        while True:
            started = time.monotonic()
            due = await self._tried(self.look())
            looked = time.monotonic() - started
            if due:
                await self._seal_some(due)
            elif self._to_compact:
                await self._tried(self.compact(self._to_compact.pop()))
            else:
                await asyncio.sleep(min(max(PAUSE_SECONDS_MIN, PAUSE_FACTOR * looked), PAUSE_SECONDS_MAX))

    async def recover(self) -> None:
        """Finishes what a process that died has left half done."""

        def left(view: CatalogView) -> tuple[list[tuple[int, int]], list[int]]:
            compactable = view.segments.uploads_to_compact(COMPACTED_BYTES_MAX // 2, COMPACTED_MIN)
            return view.entries.sealed_ends(), compactable

        sealed, compactable = await self._doors.read(left)
        self._to_compact.update(compactable)
        for upload_id, row_end in sealed:
            await self._tried(drop_entries(self._doors, upload_id, row_end))

    async def look(self) -> list[UnsealedUpload]:
        """Returns the uploads to seal now."""
        bytes_min = self._policy.seal_bytes_min // AGED_SHARE

        def find(view: CatalogView) -> tuple[int, list[UnsealedUpload]]:
            journal_bytes = view.entries.byte_count()
            if journal_bytes > self._policy.journal_bytes_max:
                return journal_bytes, view.entries.uploads_to_seal(0, UPLOADS_PER_LOOK)
            waiting = view.entries.uploads_to_seal(bytes_min, UPLOADS_PER_LOOK)
            released = view.entries.released_uploads_to_seal(UPLOADS_PER_LOOK)
            # Once each: after the first seal the second would not find its rows where they were.
            found = {upload.upload_id: upload for upload in [*waiting, *released]}
            return journal_bytes, list(found.values())

        journal_bytes, waiting = await self._doors.read(find)
        self.health.journal_bytes = journal_bytes
        self._slow_down(max(0.0, journal_bytes / self._policy.journal_bytes_max - 1) * REST_FACTOR)
        now = time.time_ns() // 1_000_000
        due = uploads_due(waiting, journal_bytes, now, self._policy)
        return [upload for upload in due if self._retry_at.get(upload.upload_id, 0) <= time.monotonic()]

    async def _seal_some(self, due: Iterable[UnsealedUpload]) -> None:
        """Seals uploads until it is time to look again, because the journal changes meanwhile."""
        look_at = time.monotonic() + SEALING_SECONDS_MAX
        for upload in due:
            if not await self._tried(self.seal(upload)):
                self._retry_at[upload.upload_id] = time.monotonic() + RETRY_SECONDS
            if time.monotonic() >= look_at:
                return

    async def _tried(self, work: Awaitable[Result]) -> Result | None:
        """Returns the result of some work. None when it failed; the failure is logged."""
        try:
            return await work
        except Exception as error:  # noqa: BLE001  # whatever it is, all is as it was, and the log says it
            self.health.failures += 1
            _log.warning("put off", reason=str(error), detail=getattr(error, "detail", None))
            return None

    async def seal(self, upload: UnsealedUpload) -> bool:
        """Seals as many rows of an upload as one segment takes. Returns False when they cannot be sealed."""
        segment = await self._sealer.seal(upload.upload_id, upload.first_row)
        if segment is None:
            return False
        named = await self._doors.write_in_reserve(lambda editor: editor.segments.name_sealed(segment))
        if named:
            self.health.segments_sealed += 1
            self.health.rows_sealed += segment.row_count
            await drop_entries(self._doors, segment.upload_id, segment.row_end)
            self._to_compact.add(segment.upload_id)
        return True

    async def compact(self, upload_id: int) -> None:
        """Merges small segments of an upload into larger ones, as long as any are worth it."""
        while True:
            segments, schemas = await self._doors.read(lambda view: _segments_of(view, upload_id))
            run = segments_to_compact(segments, schemas)
            if not run:
                return
            await self._replace(run)

    async def _replace(self, run: Sequence[Segment]) -> None:
        segment = await self._sealer.compact(run[0].upload_id, run[0].first_row, run[-1].row_end)
        if await self._doors.write_in_reserve(lambda editor: editor.segments.name_compacted(segment)):
            self.health.segments_compacted += len(run)


async def drop_entries(doors: Doors, upload_id: int, row_end: int) -> None:
    """Deletes the entries of all rows before `row_end`.

    Each commit is short, so that inserts do not wait long.
    """
    while await doors.write_in_reserve(
        lambda editor: editor.entries.drop(upload_id, row_end, DROPPED_BYTES_MAX)
    ):
        pass


def uploads_due(
    waiting: Sequence[UnsealedUpload], journal_bytes: int, now: int, policy: SealingPolicy
) -> list[UnsealedUpload]:
    """Returns those of the waiting uploads that are to be sealed now, those with most first.

    `now` is in epoch milliseconds.
    """
    aged_before = now - policy.seal_minutes_max * MS_PER_MINUTE
    is_full = journal_bytes > policy.journal_bytes_max
    excess = journal_bytes - int(ROOM_SHARE * policy.journal_bytes_max) if is_full else 0
    due: list[UnsealedUpload] = []
    for upload in waiting:
        is_aged = upload.oldest_at <= aged_before
        is_large = upload.byte_count >= policy.seal_bytes_min
        if excess > 0 or is_large or is_aged:
            due.append(upload)
            excess -= upload.byte_count
    return due


def _segments_of(view: CatalogView, upload_id: int) -> tuple[list[Segment], dict[int, Schema]]:
    segments = view.segments.page(upload_id, 0, SEGMENTS_MAX)
    versions = {segment.schema_version for segment in segments}
    return segments, {version: view.uploads.schema(upload_id, version) for version in versions}


def segments_to_compact(segments: Sequence[Segment], schemas: dict[int, Schema]) -> list[Segment]:
    """Returns neighbouring segments that are worth merging, smallest first; empty when there are none."""
    for tier in sorted({_tier(segment) for segment in segments}):
        for run in _runs(segments, schemas, tier):
            if _is_worth_it(run, tier):
                return run
    return []


def _runs(segments: Sequence[Segment], schemas: dict[int, Schema], tier: int) -> Iterator[list[Segment]]:
    """Yields runs of neighbouring segments of at most a tier's size that one segment can hold."""
    run: list[Segment] = []
    for segment in segments:
        is_small = _tier(segment) <= tier and segment.byte_count <= COMPACTED_BYTES_MAX // 2
        if run and not (is_small and _joins(run, segment, schemas)):
            yield run
            run = []
        if is_small:
            run.append(segment)
    yield run


def _joins(run: Sequence[Segment], segment: Segment, schemas: dict[int, Schema]) -> bool:
    byte_count = sum(member.byte_count for member in run) + segment.byte_count
    extends = schemas[segment.schema_version].extends(schemas[run[-1].schema_version])
    row_count = sum(member.row_count for member in run) + segment.row_count
    width = len(schemas[segment.schema_version].variables)
    return extends and byte_count <= COMPACTED_BYTES_MAX and chunk_count(row_count, width) <= CHUNKS_MAX


def _is_worth_it(run: Sequence[Segment], tier: int) -> bool:
    largest = sum(_tier(segment) == tier for segment in run)
    return len(run) >= COMPACTED_MIN and largest >= COMPACTED_OF_LARGEST_MIN


def _tier(segment: Segment) -> int:
    """Returns the order of magnitude of the segment's size, in steps of eight."""
    return segment.byte_count.bit_length() // 3
