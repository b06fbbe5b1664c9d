"""Landlock: the kernel's own list of the files that a process may open.

Theory
------
A ruleset names kinds of access (reading a file, making one, removing one ...). Once a process has put itself
under it, each of those is refused everywhere but beneath the paths that a rule permits, to the process, its
threads and whatever it starts, for good; no privilege takes it off. What was open before stays open.

The kernel says which version of this it knows. Later versions add kinds: what a kernel does not know must
not be asked of it, and is not refused by it. From version 4 on TCP is among them, from version 6 on also
sockets without a file and signals to processes outside.

There are three system calls, and no wrapper in glibc. Rejected: the packages on the registry (pre-releases,
or a few months old and unused) for what are three calls and two structures of the kernel's stable interface.
"""

import ctypes
import os
import stat
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # on all architectures
_VERSION_FLAG = 1
_PATH_BENEATH = 1

_WRITE_FILE, _READ_FILE, _READ_DIR, _REMOVE_DIR, _REMOVE_FILE = (1 << bit for bit in range(1, 6))
_MAKE_DIR, _MAKE_REG = 1 << 7, 1 << 8
_REFER, _TRUNCATE = 1 << 13, 1 << 14
# How many kinds of access to files each version knows.
_KINDS = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}
_READING = _READ_FILE | _READ_DIR
_WRITING = _READING | _WRITE_FILE | _REMOVE_DIR | _REMOVE_FILE | _MAKE_DIR | _MAKE_REG | _REFER | _TRUNCATE
_OF_FILES = _READ_FILE | _WRITE_FILE | _TRUNCATE
_TCP = 0b11
_SCOPES = 0b11

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


class _Ruleset(ctypes.Structure):
    _fields_ = (("fs", ctypes.c_uint64), ("net", ctypes.c_uint64), ("scoped", ctypes.c_uint64))


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _layout_ = "ms"
    _fields_ = (("access", ctypes.c_uint64), ("parent", ctypes.c_int32))


def landlock_version() -> int:
    """Returns which version of Landlock this kernel knows; 0 when it knows none."""
    return max(0, int(_libc.syscall(_CREATE_RULESET, None, 0, _VERSION_FLAG)))


def restrict_files(readable: Iterable[Path], writable: Iterable[Path]) -> None:
    """Permits this process these files and folders from now on, and no others.

    Paths that do not exist are passed over. Needs `no_new_privs`, or a privilege in its place. Raises
    OSError.
    """
    version = landlock_version()
    kinds = (1 << _KINDS[min(version, max(_KINDS))]) - 1
    ruleset = _Ruleset(kinds, _TCP if version >= 4 else 0, _SCOPES if version >= 6 else 0)
    size = 24 if version >= 6 else 16 if version >= 4 else 8
    descriptor = _call(_CREATE_RULESET, ctypes.byref(ruleset), ctypes.c_size_t(size), 0)
    try:
        for access, paths in ((_READING, readable), (_WRITING, writable)):
            for path in paths:
                with suppress(FileNotFoundError):
                    _permit(descriptor, path, access & kinds)
        _call(_RESTRICT_SELF, descriptor, 0)
    finally:
        os.close(descriptor)


def _permit(ruleset: int, path: Path, access: int) -> None:
    parent = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        if not stat.S_ISDIR(os.fstat(parent).st_mode):
            access &= _OF_FILES
        rule = _PathBeneath(access, parent)
        _call(_ADD_RULE, ruleset, _PATH_BENEATH, ctypes.byref(rule), 0)
    finally:
        os.close(parent)


def _call(number: int, *arguments: object) -> int:
    result = int(_libc.syscall(number, *arguments))
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return result
