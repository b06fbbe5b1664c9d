"""Watches from outside what a worker uses."""

import os
from collections.abc import Iterator
from pathlib import Path

from rowkeep.model.worker_jobs import WorkerFailedError, WorkerFailure, WorkerLimits
from rowkeep.storage.local_files import free_bytes

_COUNTED = ("RssAnon:", "RssShmem:", "VmSwap:")  # pages of files that are only read are the system's to drop


def check_memory(process_id: int, limits: WorkerLimits) -> None:
    """Raises WorkerFailedError when a process holds too much memory."""
    held = resident_bytes(process_id)
    if held > limits.memory_bytes_max:
        detail = f"{held} bytes of memory, {limits.memory_bytes_max} at most"
        raise WorkerFailedError(WorkerFailure.MEMORY, detail)


def resident_bytes(process_id: int) -> int:
    """Returns how much memory a process holds, swapped or not; 0 when it is gone."""
    try:
        status = Path(f"/proc/{process_id}/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return 0
    lines = (line.split() for line in status.splitlines() if line.startswith(_COUNTED))
    return sum(int(words[1]) * 1024 for words in lines)


def check_folder(folder: Path, limits: WorkerLimits) -> None:
    """Raises WorkerFailedError when a folder holds too much, or leaves too little of its disk free."""
    if free_bytes(folder) < limits.free_bytes_min:
        detail = f"less than {limits.free_bytes_min} bytes are left on the disk"
        raise WorkerFailedError(WorkerFailure.SCRATCH, detail)
    byte_count = 0
    for file_count, size in enumerate(_sizes(folder), 1):
        byte_count += size
        if byte_count > limits.scratch_bytes_max:
            detail = f"more than {limits.scratch_bytes_max} bytes of files"
            raise WorkerFailedError(WorkerFailure.SCRATCH, detail)
        if file_count > limits.scratch_files_max:
            raise WorkerFailedError(WorkerFailure.SCRATCH, f"more than {limits.scratch_files_max} files")


def _sizes(folder: Path) -> Iterator[int]:
    """Yields the sizes of all files and folders in a folder. Those that vanish meanwhile are left out."""
    try:
        entries = list(os.scandir(folder))
    except OSError:
        return
    for entry in entries:
        try:
            found = entry.stat(follow_symlinks=False)
        except FileNotFoundError:
            continue
        yield found.st_blocks * 512
        if entry.is_dir(follow_symlinks=False):
            yield from _sizes(Path(entry.path))
