"""The journal, the segments and the other files of a data directory."""

from contextlib import AsyncExitStack, suppress
from functools import partial

import msgspec
import structlog

from rowkeep.config import Settings
from rowkeep.model.health import Durability, DurabilityClass
from rowkeep.storage.base import Database, SegmentStore, StorageError
from rowkeep.storage.disk_reserve import DiskReserve
from rowkeep.storage.doors import StorageDoors
from rowkeep.storage.durability import measure_durability
from rowkeep.storage.export_files import ExportFolder
from rowkeep.storage.journal.lane import Lane
from rowkeep.storage.local_files import DataDirectory, Disk
from rowkeep.storage.segments.newer import newer_segments
from rowkeep.storage.segments.reader import StreamReader
from rowkeep.storage.segments.sweep import SegmentSweep

_log = structlog.get_logger("rowkeep.start")


class Storage(msgspec.Struct, frozen=True):
    """The journal and the segments of a data directory, and the doors to them."""

    database: Database
    directory: DataDirectory
    lane: Lane
    doors: StorageDoors
    segments: SegmentStore
    sweep: SegmentSweep
    reserve: DiskReserve

    @property
    def readings(self) -> partial[StreamReader]:
        """Starts readings of rows."""
        return partial(StreamReader, self.segments)


async def open_storage(
    database: Database,
    directory: DataDirectory,
    segments: SegmentStore,
    settings: Settings,
    stack: AsyncExitStack,
) -> Storage:
    """Opens the journal and the segments, and sweeps what an earlier process left unnamed."""
    lane = _lane(database, settings)
    reserve = DiskReserve(directory.path, bytes_min=settings.disk_reserve_bytes_min)
    doors = StorageDoors(database, lane, reserve, readers_max=settings.readers_max)
    stack.callback(doors.close)
    storage = Storage(database, directory, lane, doors, segments, SegmentSweep(segments), reserve)
    await _sweep_at_start(storage)
    return storage


def _lane(database: Database, settings: Settings) -> Lane:
    return Lane(
        database,
        group_bytes_max=settings.group_bytes_max,
        queue_bytes_max=settings.queue_bytes_max,
        wait_seconds_max=settings.queue_wait_seconds_max,
    )


async def _sweep_at_start(storage: Storage) -> None:
    """Sets aside what an earlier process left unnamed."""
    present = storage.segments.names()
    named = await storage.doors.read(lambda view: view.segments.file_names())
    newer = await storage.doors.read(lambda view: newer_segments(view, storage.segments, present))
    storage.sweep.sweep_at_start(present, named, newer)


async def sweep_at_end(storage: Storage) -> None:
    """Removes the sealing process's unnamed files. The process does not run any more."""
    with suppress(StorageError, OSError):  # the next start does it
        present = storage.segments.names()
        named = await storage.doors.read(lambda view: view.segments.file_names())
        storage.sweep.sweep_alone(present, named)


def durability_of(directory: DataDirectory) -> Durability:
    """Measures how safe the disk is, and logs a warning when it may lose rows."""
    found = measure_durability(directory.path)
    if found.class_ is not DurabilityClass.DURABLE:
        _log.warning("the disk may lose what was acknowledged", **msgspec.to_builtins(found))
    return found


def exported_files(directory: DataDirectory) -> ExportFolder:
    """Returns the folder of the files that exports made."""
    return ExportFolder(directory.exports, Disk())
