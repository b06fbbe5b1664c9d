"""The jail of a worker: everything that it does not need is taken from it before it sees a caller's input.

Theory
------
Files and queries come from people. What reads them is large C and C++ code that was written for friends, so
it is run as if it were hostile: in a process of its own that can do nothing but compute. The walls:

* files        it opens its inputs, Python's own code, and its folder, and nothing else (Landlock)
* system calls no network, no other process, nothing that changes the machine (seccomp)
* privileges   none are gained, those of root are dropped, nobody may look into it
* resources    address space, size of a file, open files and processor time are limited by the kernel;
               resident memory, the size of its folder and the time on the clock are watched by the server
               (pool.py), because the kernel's own limits for those say too little or too late
* life         it is a session of its own that is killed as a whole, and dies with its parent

A limit of the address space is a coarse one: libraries reserve much that they never touch (with 1 GB they
hang). It is there for what allocates faster than one can watch.

A kernel without Landlock, a machine without libseccomp: the other walls stand, and the server's log says
at the first job which do not (`missing_walls`).
"""

import ctypes
import os
import resource
import signal
import sys
import sysconfig
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

from rowkeep.model.worker_jobs import WorkerJob, WorkerLimits
from rowkeep.workers.landlock import landlock_version, restrict_files
from rowkeep.workers.system_calls import can_refuse_calls, refuse_calls

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS = 1, 4, 24, 38
_CAPABILITY_VERSION = 0x20080522
# A server that runs as root may have a data directory that is another user's.
_KEPT_CAPABILITIES = 1 << 1  # CAP_DAC_OVERRIDE

ADDRESS_SPACE_BYTES_MIN = 3 * 1024**3
ADDRESS_SPACE_MARGIN_BYTES = 2 * 1024**3
OPEN_FILES_MAX = 4096

_SYSTEM_CODE = (
    "/lib",
    "/lib32",
    "/lib64",
    "/usr/lib",
    "/usr/lib32",
    "/usr/lib64",
    "/usr/local/lib",
    "/usr/share/zoneinfo",
    "/etc/ld.so.cache",
    "/etc/localtime",
    "/dev/urandom",
    # How much of the machine there is; DuckDB aborts where it may see that these exist and not read them.
    "/sys/devices/system/cpu",
    "/sys/fs/cgroup",
    "/proc/self/cgroup",
    "/proc/meminfo",
)

_libc = ctypes.CDLL(None, use_errno=True)


def missing_walls() -> list[str]:
    """Returns the walls that this machine cannot put up, in words."""
    missing = []
    if not landlock_version():
        missing.append("files: the kernel has no Landlock")
    if not can_refuse_calls():
        missing.append("system calls: libseccomp is not installed")
    return missing


def die_with(parent: int) -> None:
    """Makes the kernel kill this process when its parent ends. The parent may have ended already."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def enter_jail(job: WorkerJob) -> None:
    """Puts up the walls around this process, which has one thread. Raises OSError."""
    limits = job.limits
    _require_one_thread()
    os.setsid()
    os.nice(max(0, limits.niceness - os.nice(0)))  # one that was prepared is nice already
    _limit_resources(limits)
    _drop_privileges()
    folder = Path(job.folder)
    if landlock_version():
        readable = [*_code_paths(folder), *map(Path, job.readable)]
        restrict_files(readable, [folder, Path("/dev/null")])
    if can_refuse_calls():
        refuse_calls()


def _require_one_thread() -> None:
    """Raises RuntimeError in a process that has threads: Landlock would not hold those."""
    count = len(list(Path("/proc/self/task").iterdir()))
    if count != 1:
        raise RuntimeError(f"{count} threads, where a worker has one before it goes to jail")


def _limit_resources(limits: WorkerLimits) -> None:
    address_space = max(ADDRESS_SPACE_BYTES_MIN, limits.memory_bytes_max + ADDRESS_SPACE_MARGIN_BYTES)
    processors = os.cpu_count() or 1
    _limit(resource.RLIMIT_AS, address_space)
    _limit(resource.RLIMIT_FSIZE, limits.scratch_bytes_max)
    _limit(resource.RLIMIT_CPU, int(limits.seconds_max * processors) + 1)
    _limit(resource.RLIMIT_NOFILE, OPEN_FILES_MAX)
    _limit(resource.RLIMIT_CORE, 0)


def _limit(kind: int, value: int) -> None:
    _, hard = resource.getrlimit(kind)
    if hard != resource.RLIM_INFINITY:
        value = min(value, hard)
    resource.setrlimit(kind, (value, value))


def _drop_privileges() -> None:
    _prctl(_PR_SET_DUMPABLE, 0)
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)
    if os.geteuid() == 0:
        _drop_capabilities()


def _drop_capabilities() -> None:
    for capability in range(64):
        if not _KEPT_CAPABILITIES >> capability & 1:
            _libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)  # fails where it is unknown
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION, 0)
    kept = _KEPT_CAPABILITIES
    data = (ctypes.c_uint32 * 6)(kept, kept, 0, 0, 0, 0)
    if _libc.capset(ctypes.byref(header), ctypes.byref(data)):
        raise _error()


def _code_paths(folder: Path) -> Iterable[Path]:
    """Yields the folders of modules and libraries, without any that holds the worker's own folder."""
    own = folder.resolve()
    return (path for path in code_places() if not own.is_relative_to(path))


@lru_cache(maxsize=1)
def code_places() -> tuple[Path, ...]:
    """Returns the folders of modules and libraries. The template asks once, for all workers."""
    installed = (sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib"))
    places = (Path(place) for place in (*_SYSTEM_CODE, *installed, *sys.path))
    return tuple(dict.fromkeys(place.resolve() for place in places if place.is_absolute()))


def _prctl(option: int, value: int) -> None:
    if _libc.prctl(option, value, 0, 0, 0):
        raise _error()


def _error() -> OSError:
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number))
