"""What the disk under a data directory can promise, measured when the server starts.

A server can fsync as often as it likes: on a disk that lies about it, or in memory, what was acknowledged
is gone with the power. A disk that keeps its word needs time for it. And the locks of the database work
only on a local file system.
"""

import os
import statistics
import tempfile
import time
from pathlib import Path

from rowkeep.model.health import Durability, DurabilityClass

SYNCS = 30
SYNC_BYTES = 4096
# A write that must reach even the fastest drive's protected cache takes longer than a call that does nothing.
HONEST_MS_MIN = 0.008
IN_MEMORY = frozenset({"tmpfs", "ramfs"})
REMOTE = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "9p", "ceph", "glusterfs", "fuse.sshfs", "fuse.s3fs", "afs"}
)

_MOUNTS = Path("/proc/self/mountinfo")


def measure_durability(folder: Path) -> Durability:
    """Tries the disk of a folder; takes some milliseconds."""
    file_system = file_system_of(folder)
    fsync_ms = fsync_p50_ms(folder, SYNCS)
    return Durability(classify(file_system, fsync_ms), fsync_ms, file_system)


def classify(file_system: str | None, fsync_ms: float) -> DurabilityClass:
    """Returns the durability class for a file system of this type with this fsync time."""
    if file_system in IN_MEMORY:
        return DurabilityClass.IN_MEMORY
    if file_system in REMOTE:
        return DurabilityClass.REMOTE
    return DurabilityClass.SUSPICIOUS if fsync_ms < HONEST_MS_MIN else DurabilityClass.DURABLE


def fsync_p50_ms(folder: Path, count: int) -> float:
    """Returns the median time in milliseconds to append 4 KiB and make them durable."""
    times: list[float] = []
    with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
        for _ in range(count):
            started = time.perf_counter()
            file.write(bytes(SYNC_BYTES))
            os.fdatasync(file.fileno())
            times.append(time.perf_counter() - started)
    return statistics.median(times) * 1000


def file_system_of(folder: Path) -> str | None:
    """Returns the type of a folder's file system, such as ext4. None where Linux does not tell."""
    device = folder.stat().st_dev
    name = f"{os.major(device)}:{os.minor(device)}"
    try:
        lines = _MOUNTS.read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    for line in lines:
        mount, _, source = line.partition(" - ")
        if mount.split()[2] == name:
            return source.split()[0]
    return None
