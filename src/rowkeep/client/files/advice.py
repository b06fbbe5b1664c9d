"""Suggests options when rows of a file were refused."""

from collections.abc import Sequence

import msgspec

from rowkeep.client.errors import RefusedRow

SEPARATORS = ";\t|,:"
# What programs write for a missing value.
NULL_MARKERS = frozenset({"NA", "N/A", "n/a", "#N/A", "NaN", "nan", "null", "NULL", "None", "\\N", ".", "-"})


def advice_on(rows: Sequence[RefusedRow], *, is_csv: bool) -> list[str]:
    """Returns a sentence for each option that would help."""
    if not is_csv:
        return []
    advice = []
    separator = next(filter(None, map(_separator_in_name, rows)), None)
    if separator is not None:
        advice.append(f"Is {separator!r} the separator of this file? Say so with --delimiter {separator!r}.")
    marker = next(filter(None, map(_null_marker, rows)), None)
    if marker is not None:
        advice.append(f"Does {marker!r} stand for a missing value? Say so with --null {marker}.")
    return advice


def _separator_in_name(row: RefusedRow) -> str | None:
    """Returns a separator that stands within the only name of a header, or None."""
    names = list(_fields(row))
    return next((mark for mark in SEPARATORS if mark in names[0]), None) if len(names) == 1 else None


def _null_marker(row: RefusedRow) -> str | None:
    fields = _fields(row)
    values = [fields.get(reason.variable) for reason in row.reasons if reason.variable is not None]
    return next((value for value in values if isinstance(value, str) and value in NULL_MARKERS), None)


def _fields(row: RefusedRow) -> dict[str, object]:
    try:
        content = msgspec.json.decode(row.content)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return {}
    return content if isinstance(content, dict) else {}
