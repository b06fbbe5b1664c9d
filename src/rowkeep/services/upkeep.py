"""What has to be done now and then: forgetting what no longer counts.

Read sessions expire by the clock on the wall, as their `expiresAt` says: one set forward ends them early, and
their reader makes another.
"""

import asyncio
import time

import msgspec
import structlog

from rowkeep.model.errors import RowkeepError
from rowkeep.services.maintenance import drop_entries
from rowkeep.services.temp_uploads import sweep as sweep_temp_uploads
from rowkeep.storage.catalog.doors import Doors
from rowkeep.storage.engines import ContentFiles, ExportedFiles, RawContents, Sealer

PAUSE_SECONDS = 300
FORGOTTEN_PER_LOOK = 1_000
ROW_END = 2**63 - 1
MS_PER_HOUR = 3_600_000

_log = structlog.get_logger("rowkeep.upkeep")


class Retention(msgspec.Struct, frozen=True):
    """How long things are kept that are deleted by age."""

    result_hours: int
    export_hours: int
    audit_days: int


async def keep_up(
    doors: Doors,
    sealer: Sealer,
    files: ContentFiles,
    exports: ExportedFiles,
    raw_files: RawContents,
    retention: Retention,
) -> None:
    """Deletes what is no longer needed every few minutes, until this is cancelled."""
    while True:
        await asyncio.sleep(PAUSE_SECONDS)
        try:
            await prune(doors)
            await prune_audit(doors, retention.audit_days)
            await expire_queries(doors, retention.result_hours)
            await forget_deleted(doors)
            await sealer.sweep(lambda: doors.read(lambda view: view.segments.file_names()))
            await sweep_temp_uploads(doors, files)
            await expire_exports(doors, retention.export_hours)
            await exports.sweep(lambda: doors.read(lambda view: view.exports.file_names()))
            await raw_files.sweep(lambda: doors.read(lambda view: set(view.raw_files.contents())))
        except (RowkeepError, OSError) as error:  # the lane is closed or busy: nothing is lost by waiting
            _log.warning("upkeep put off", reason=str(error))


async def prune(doors: Doors) -> None:
    """Drops read sessions that have expired."""
    await doors.write_in_reserve(lambda editor: editor.sessions.prune())


async def prune_audit(doors: Doors, audit_days: int) -> None:
    """Deletes entries of the audit log that are older than `audit_days`."""
    before = time.time_ns() // 1_000_000 - audit_days * 24 * MS_PER_HOUR
    await doors.write_in_reserve(lambda editor: editor.audit.prune(before))


async def expire_queries(doors: Doors, result_hours: int) -> None:
    """Deletes queries that finished more than `result_hours` ago.

    Their rows go with those of deleted uploads.
    """
    finished_before = time.time_ns() // 1_000_000 - result_hours * MS_PER_HOUR
    await doors.write_in_reserve(lambda editor: editor.queries.expire(finished_before))


async def expire_exports(doors: Doors, export_hours: int) -> None:
    """Deletes exports that finished more than `export_hours` ago. Their files are swept later."""
    finished_before = time.time_ns() // 1_000_000 - export_hours * MS_PER_HOUR
    await doors.write_in_reserve(lambda editor: editor.exports.expire(finished_before))


async def forget_deleted(doors: Doors) -> None:
    """Deletes the rows of deleted uploads that no read session needs, in commits of bounded size."""
    now = time.time_ns() // 1_000_000
    for upload_id in await doors.read(lambda view: view.uploads.forgettable(now, FORGOTTEN_PER_LOOK)):
        await _forget(doors, upload_id)


async def _forget(doors: Doors, upload_id: int) -> None:
    await drop_entries(doors, upload_id, ROW_END)
    await doors.write_in_reserve(lambda editor: editor.uploads.forget(upload_id))
