"""The conformance cases: files of lines `query => rows as JSON`, or `query =!> part of the message`."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

FOLDER = Path(__file__).parent / "cases"


class Case(msgspec.Struct, frozen=True):
    """A query with the rows that it must have, or what it must be refused with."""

    name: str
    sql: str
    rows: list[list[Any]] | None
    message: str | None


def cases() -> list[Case]:
    """All cases of all files, in order."""
    return [case for file in sorted(FOLDER.glob("*.txt")) for case in _cases_of(file)]


def _cases_of(file: Path) -> Iterator[Case]:
    held: list[str] = []
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
        if not held and (not line or line.startswith("# ")):
            continue
        held.append(line)
        text = "\n".join(held)
        name = f"{file.stem}-{number}"
        if " =!>" in line:
            sql, _, message = text.rpartition(" =!>")
            yield Case(name, sql, None, message.strip())
        elif " => " in line:
            sql, _, rows = text.rpartition(" => ")
            yield Case(name, sql, json.loads(rows), None)
        else:
            continue
        held = []
    assert not held, f"{file.name} ends within a case"
