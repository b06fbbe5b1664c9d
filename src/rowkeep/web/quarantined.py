"""Rows of a quarantine as a page shows them: a grid in which each cell that did not fit is marked.

Numbers are shown as they came: the text of a cell is that of the row's JSON, never of a number read from it.
"""

from collections.abc import Sequence

import msgspec

from rowkeep.model.quarantine import QuarantinedRow
from rowkeep.web.grid import CELL_CHARACTERS_MAX

NAMES_SHOWN_MAX = 40


class QuarantinedCell(msgspec.Struct, frozen=True):
    """A value as it came, and why it does not fit. `text` is None where the row has no such value."""

    text: str | None
    reason: str | None


class ShownRow(msgspec.Struct, frozen=True):
    """A row as it came. `reasons` are those about no shown cell.

    `whole` is the text of a row that is no object.
    """

    row: QuarantinedRow
    cells: list[QuarantinedCell]
    reasons: list[str]
    whole: str | None


class QuarantineGrid(msgspec.Struct, frozen=True):
    """Rows by the names of their values. Columns with cells that do not fit come first."""

    names: list[str]
    rows: list[ShownRow]


def quarantine_grid(rows: Sequence[QuarantinedRow]) -> QuarantineGrid:
    """Returns rows as a grid, bounded in its names."""
    values = [_values(row.content) for row in rows]
    bad = {reason.variable.lower() for row in rows for reason in row.reasons if reason.variable}
    found = list(dict.fromkeys(name for each in values if each is not None for name in each))
    names = sorted(found, key=lambda name: name.lower() not in bad)[:NAMES_SHOWN_MAX]
    shown = [_shown(row, each, names) for row, each in zip(rows, values, strict=True)]
    return QuarantineGrid(names, shown)


def _shown(row: QuarantinedRow, values: dict[str, str] | None, names: Sequence[str]) -> ShownRow:
    reasons = {reason.variable.lower(): reason.message for reason in row.reasons if reason.variable}
    if values is None:
        return ShownRow(row, [], [reason.message for reason in row.reasons], _cut(_text(row.content)))
    cells = [QuarantinedCell(values.get(name), _reason(reasons, name, values)) for name in names]
    marked = {name.lower() for name in names if name in values}
    others = [
        reason.message if reason.variable is None else f"{reason.variable}: {reason.message}"
        for reason in row.reasons
        if reason.variable is None or reason.variable.lower() not in marked
    ]
    return ShownRow(row, cells, others, None)


def _reason(reasons: dict[str, str], name: str, values: dict[str, str]) -> str | None:
    return reasons.get(name.lower()) if name in values else None


def _values(content: bytes) -> dict[str, str] | None:
    """Returns the texts of a row by name, or None when it is not an object."""
    try:
        found = msgspec.json.decode(content, type=dict[str, msgspec.Raw])
        return {name: _cut(_value(bytes(raw))) for name, raw in found.items()}
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _value(raw: bytes) -> str:
    return msgspec.json.decode(raw, type=str) if raw.startswith(b'"') else _text(raw)


def _text(content: bytes) -> str:
    return content.decode("utf-8", "replace")


def _cut(text: str) -> str:
    return text if len(text) <= CELL_CHARACTERS_MAX else f"{text[:CELL_CHARACTERS_MAX]}… (cut)"
