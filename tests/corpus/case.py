"""What a file of the corpus is: how it is made, how it is read, and what must come of it."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from rowkeep.formats.files import FileTable, open_file
from rowkeep.model.errors import RowkeepError
from rowkeep.model.files import FileOptions, RecordsRefused

Row = tuple[Any, ...]


class Table(NamedTuple):
    """The table that a file holds: the type of each variable by its name, and its rows.

    `bad` counts records that were skipped; `warning` is part of one of the warnings.
    """

    types: Mapping[str, str]
    rows: Sequence[Row] | int
    bad: int = 0
    warning: str | None = None
    labels: Mapping[str, str] = {}


class Refused(NamedTuple):
    """The error of a file that is not loaded: part of its message, and the lines or rows that it names."""

    message: str
    lines: Sequence[int] = ()
    count: int | None = None


class Case(NamedTuple):
    """One file. `content` may be made when it is asked for."""

    name: str
    content: bytes | Callable[[], bytes]
    expected: Table | Refused
    options: Mapping[str, Any] = {}

    @property
    def file_name(self) -> str:
        """The name that the file has with its sender: what is before the first slash tells cases apart."""
        return self.name.partition("/")[2] or self.name

    def bytes(self) -> bytes:
        """The content."""
        return self.content if isinstance(self.content, bytes) else self.content()


def opened(case: Case, folder: Path) -> FileTable:
    """The file as it is read."""
    path, scratch = folder / "file", folder / "scratch"
    path.write_bytes(case.bytes())
    scratch.mkdir()
    return open_file(path, FileOptions(file_name=case.file_name, **case.options), scratch)


def outcome(case: Case, folder: Path) -> Table | Refused:
    """What comes of a file, as far as the case says what must."""
    try:
        table = opened(case, folder)
        rows = [
            tuple(row.values()) for batch in table.batches() for row in batch.to_pylist(maps_as_pydicts=None)
        ]
    except RecordsRefused as error:
        lines = [bad.line or bad.row for bad in error.bad_records]
        return Refused(error.message, lines, error.bad_record_count)
    except RowkeepError as error:
        return Refused(error.message)
    types = {variable.name: variable.type.value for variable in table.variables}
    labels = {variable.name: variable.label for variable in table.variables if variable.label}
    return Table(types, rows, table.bad_records.count, "\n".join(table.warnings), labels)


def problem(expected: Table | Refused, found: Table | Refused) -> str | None:
    """How an outcome differs from what it must be."""
    if isinstance(expected, Refused) or isinstance(found, Refused):
        return _refusal_problem(expected, found)
    count = found.rows if isinstance(found.rows, int) else len(found.rows)
    wanted = {
        "types": (dict(expected.types), dict(found.types)),
        "rows": (expected.rows, count)
        if isinstance(expected.rows, int)
        else (repr(list(expected.rows)), repr(found.rows)),
        "bad": (expected.bad, found.bad),
        "warning": (True, (expected.warning or "") in (found.warning or "")),
        "labels": (dict(expected.labels), {name: found.labels.get(name) for name in expected.labels}),
    }
    return next(
        (f"{what}: {found}, not {asked}" for what, (asked, found) in wanted.items() if asked != found), None
    )


def _refusal_problem(expected: Table | Refused, found: Table | Refused) -> str | None:
    if not (isinstance(expected, Refused) and isinstance(found, Refused)):
        return f"it came to {found}"
    if expected.message not in found.message:
        return f"the message is {found.message!r}"
    if expected.lines and list(expected.lines) != list(found.lines):
        return f"it names {found.lines}"
    return None if expected.count in (None, found.count) else f"it counts {found.count}"
