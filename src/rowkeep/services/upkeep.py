"""What has to be done now and then: forgetting what no longer counts."""

import asyncio
import time

import structlog

from rowkeep.model.errors import RowkeepError
from rowkeep.storage.base import Doors

PAUSE_SECONDS = 600
MS_PER_HOUR = 3_600_000

_log = structlog.get_logger("rowkeep.upkeep")


async def keep_up(doors: Doors, *, idempotency_hours_min: int) -> None:
    """Drops old receipts and expired read sessions every ten minutes, until it is cancelled."""
    while True:
        await asyncio.sleep(PAUSE_SECONDS)
        try:
            await prune(doors, idempotency_hours_min=idempotency_hours_min)
        except RowkeepError as error:  # the lane is closed or busy: nothing is lost by waiting
            _log.warning("pruning put off", reason=error.message)


async def prune(doors: Doors, *, idempotency_hours_min: int) -> None:
    """Drops the receipts older than this many hours, and read sessions that have expired."""
    before = time.time_ns() // 1_000_000 - idempotency_hours_min * MS_PER_HOUR
    await doors.write(lambda editor: editor.prune(before))
