"""The processes beside the server: they seal, decode, check, load, export and query."""

from contextlib import AsyncExitStack

import msgspec

from rowkeep.compose.storage import Storage, sweep_at_end
from rowkeep.config import Settings
from rowkeep.limits import workers_max
from rowkeep.storage.segments.sweep import GRACE_SECONDS
from rowkeep.workers.checking_process import CheckingProcess
from rowkeep.workers.decoding_process import DecodingProcesses
from rowkeep.workers.pool import WorkerPool
from rowkeep.workers.sealing_process import SealingProcess

# What the template of the workers imports before it forks.
WORKER_MODULES = ("rowkeep.workers.load", "rowkeep.workers.export", "rowkeep.workers.query.warming")


class Workers(msgspec.Struct, frozen=True):
    """The work that is done in processes of its own."""

    sealing: SealingProcess
    large_bodies: DecodingProcesses
    checker: CheckingProcess
    jailed: WorkerPool


async def start_workers(storage: Storage, settings: Settings, stack: AsyncExitStack) -> Workers:
    """Starts the processes beside this one. The lane closes before they do: it is closed here."""
    directory = storage.directory
    sealing = SealingProcess(directory, storage.segments, storage.sweep, grace_seconds=GRACE_SECONDS)
    stack.push_async_callback(sweep_at_end, storage)
    stack.push_async_callback(sealing.close)
    large_bodies = DecodingProcesses(directory.spool, inflated_bytes_max=settings.body_bytes_max)
    await large_bodies.start()
    checker = CheckingProcess()
    await checker.start()
    jailed = WorkerPool(*WORKER_MODULES, workers_max=workers_max(settings))
    stack.push_async_callback(jailed.close)
    stack.push_async_callback(checker.close)
    stack.push_async_callback(large_bodies.close)
    stack.push_async_callback(storage.lane.close)
    return Workers(sealing, large_bodies, checker, jailed)
