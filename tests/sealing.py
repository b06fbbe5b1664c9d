"""Sealing at once and in this process, with the parts that the server uses."""

from collections.abc import Awaitable, Callable

from rowkeep.model.resources import Segment
from rowkeep.services.maintenance import Maintenance, SealingPolicy
from rowkeep.storage.base import Database
from rowkeep.storage.catalog.doors import Doors
from rowkeep.storage.local_files import DataDirectory, Disk
from rowkeep.storage.local_segments import LocalSegments
from rowkeep.storage.segments.sealer import SegmentSealer
from rowkeep.storage.segments.sweep import SegmentSweep

POLICY = SealingPolicy(seal_bytes_min=2**24, seal_minutes_max=10.0, journal_bytes_max=2**30)


class DirectSealer:
    """The sealer without its process; files that lost their name go at once."""

    def __init__(self, database: Database, directory: DataDirectory, disk: Disk) -> None:
        self._store = store = LocalSegments(directory.segments, disk)
        self._sealer = SegmentSealer(database, store)
        self._sweep = SegmentSweep(store)

    async def seal(self, upload_id: int, first_row: int) -> Segment | None:
        segment = self._sealer.seal(upload_id, first_row)
        if segment is not None:
            self._sweep.note_written(segment.file_name)
        return segment

    async def compact(self, upload_id: int, first_row: int, row_end: int) -> Segment:
        segment = self._sealer.compact(upload_id, first_row, row_end)
        self._sweep.note_written(segment.file_name)
        return segment

    async def sweep(self, named: Callable[[], Awaitable[set[str]]]) -> int:
        return self._sweep.sweep_alone(self._store.names(), await named())


async def seal_all(doors: Doors, maintenance: Maintenance) -> None:
    """Puts the rows of every upload that has variables into segments."""
    while waiting := await doors.read(lambda view: view.entries.uploads_to_seal(0, 1_000)):
        for upload in waiting:
            assert await maintenance.seal(upload)
