"""What a unit of systemd lets a service do, read from its lines."""

import subprocess
from functools import cache
from pathlib import Path


def values_of(unit: Path, key: str) -> list[str]:
    """The values of a key, in order."""
    lines = unit.read_text(encoding="utf-8").splitlines()
    return [value for name, found, value in (line.partition("=") for line in lines) if found and name == key]


@cache
def calls_of(name: str) -> frozenset[str]:
    """The system calls that a name stands for: one call, or a group such as `@file-system`."""
    if not name.startswith("@"):
        return frozenset({name})
    done = subprocess.run(["systemd-analyze", "syscall-filter", name], stdout=subprocess.PIPE, check=True)
    lines = [line.strip() for line in done.stdout.decode().splitlines()[1:]]
    return frozenset().union(*(calls_of(line) for line in lines if line and not line.startswith("#")))


def allowed_calls(unit: Path) -> set[str]:
    """The system calls that the filter of a unit lets through: its lines add and take away, in order."""
    allowed: set[str] = set()
    for line in values_of(unit, "SystemCallFilter"):
        named = set().union(*(calls_of(name) for name in line.removeprefix("~").split()))
        allowed = allowed - named if line.startswith("~") else allowed | named
    return allowed
