"""The costs of a server's processes: processor time, memory and disk writes, from Linux' /proc.

A server is a tree of processes: the one that was started and all that it has started, now and before (Linux
adds what an ended process has used to its parent's account). Where /proc does not tell, nothing is known:
None, not zero.
"""

import os
import subprocess
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from rowkeep.storage.journal.lane import LANE_THREAD

END_SECONDS_MAX = 15

Process = subprocess.Popen[bytes]


def cpu_seconds(pids: Iterable[int]) -> float | None:
    """Returns the user and system time of the trees below these processes, in seconds."""
    ticks = 0
    for pid in _trees(pids):
        text = _read(pid, "stat")
        if text is None:
            return None
        ticks += sum(map(int, text.rsplit(")", 1)[1].split()[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK") or None


def cpu_ms_by_part(pid: int) -> Counter[str]:
    """Returns the milliseconds that each part of a server has used:

    its threads, and the processes below it.
    """
    parts: Counter[str] = Counter()
    for below in tree_of(pid):
        for task in sorted(_tasks(below)):
            text = _read(below, f"task/{task}/stat")
            if text is not None:
                name, fields = text.partition("(")[2].rsplit(")", 1)
                part = _own_part(name, is_main=task == pid) if below == pid else _process_name(below)
                parts[part] += sum(map(int, fields.split()[11:13])) * 1000 // os.sysconf("SC_CLK_TCK")
    return parts


def _own_part(thread_name: str, *, is_main: bool) -> str:
    if is_main:
        return "event loop"
    return "lane" if thread_name == LANE_THREAD else "HTTP and other threads"


def _process_name(pid: int) -> str:
    """Returns the last word of the module that a process runs."""
    modules = [word for word in command_of(pid) if word.startswith("rowkeep.")]
    return modules[0].rpartition(".")[2].replace("_", " ") if modules else "other processes"


def _tasks(pid: int) -> list[int]:
    try:
        return [int(task.name) for task in Path(f"/proc/{pid}/task").iterdir()]
    except OSError:  # ended meanwhile, or not Linux
        return []


def written_bytes(pids: Iterable[int]) -> int | None:
    """Returns how many bytes the trees below these processes have caused to be written to disk."""
    found = [_fields(pid, "io").get("write_bytes:") for pid in _trees(pids)]
    return _sum(found)


def peak_memory_mib(pid: int) -> float:
    """Returns the most memory (resident set) that a process has held, without its children."""
    return _fields(pid, "status").get("VmHWM:", 0) / 1024


def memory_mib(pid: int) -> float:
    """Returns the memory (resident set) that a process holds now."""
    return _fields(pid, "status").get("VmRSS:", 0) / 1024


def shared_memory_mib(pid: int) -> float:
    """Returns the memory of a process and all below it. Shared pages count once (Linux' PSS)."""
    return sum(_fields(below, "smaps_rollup").get("Pss:", 0) for below in tree_of(pid)) / 1024


def open_files(pid: int) -> int:
    """Returns how many files and connections a process has open."""
    return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())


def children_of(pid: int) -> list[int]:
    """Returns the processes that a process has started and that still run."""
    files = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for file in files for child in file.read_text().split()]


def command_of(pid: int) -> list[str]:
    """Returns the command line of a process; empty when it has ended."""
    return (_read(pid, "cmdline") or "").split("\0")


def tree_of(pid: int) -> list[int]:
    """Returns a process and everything below it."""
    return [pid, *[below for child in children_of(pid) for below in tree_of(child)]]


def end(process: Process) -> None:
    """Asks a process to end, and kills it when it does not."""
    process.terminate()
    try:
        process.wait(timeout=END_SECONDS_MAX)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _trees(pids: Iterable[int]) -> set[int]:
    return {below for pid in pids for below in tree_of(pid)}


def _sum(values: Iterable[int | None]) -> int | None:
    known = list(values)
    return None if not known or None in known else sum(value for value in known if value is not None)


def _read(pid: int, name: str) -> str | None:
    try:
        return Path(f"/proc/{pid}/{name}").read_text()
    except OSError:  # ended meanwhile, someone else's, or not Linux
        return None


def _fields(pid: int, name: str) -> dict[str, int]:
    lines = [line.split() for line in (_read(pid, name) or "").splitlines()]
    return {words[0]: int(words[1]) for words in lines if len(words) > 1 and words[1].isdigit()}
