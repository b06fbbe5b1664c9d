"""What commands print: tables for a terminal, JSON and CSV for other programs.

Text of data may hold anything, also what drives a terminal. A table shows what is not printable escaped;
JSON and CSV hold it as it is.
"""

import codecs
import csv
import io
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import click

Row = Mapping[str, Any]
CELL_CHARACTERS_MAX = 60
FORMATS = ("table", "json", "csv")

format_option = click.option(
    "--format",
    "form",
    type=click.Choice(FORMATS),
    default="table",
    show_default=True,
    help="A table to read, or a JSON array or CSV with a header line for other programs.",
)


def write_rows(form: str, columns: Sequence[str], rows: Iterable[Row]) -> None:
    """Prints rows in a format. A row that lacks a column gets null there."""
    if form == "json":
        _write_all(json_array(rows))
    elif form == "csv":
        _write_all(_csv_lines(columns, rows))
    else:
        _write_all(f"{line}\n" for line in table_lines(columns, rows))


def write_json(value: object) -> None:
    """Prints a value as JSON."""
    click.echo(json.dumps(value, ensure_ascii=False, indent=2))


def write_bytes(chunks: Iterable[bytes]) -> None:
    """Prints the bytes of a text in UTF-8 as they come."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    _write_all(decoder.decode(chunk) for chunk in chunks)


def json_array(rows: Iterable[Row]) -> Iterator[str]:
    """Yields the text of a JSON array, a row a line, without holding more than one."""
    before = "["
    for row in rows:
        yield f"{before}\n{json.dumps(row, ensure_ascii=False)}"
        before = ","
    yield "[]\n" if before == "[" else "\n]\n"


def table_lines(columns: Sequence[str], rows: Iterable[Row]) -> list[str]:
    """Returns the lines of a table. Columns of numbers are aligned to the right."""
    held = [[row.get(column) for column in columns] for row in rows]
    cells = [[_cell(value) for value in row] for row in held]
    widths = [max([len(column), *(len(row[at]) for row in cells)]) for at, column in enumerate(columns)]
    is_right = [
        bool(held) and all(row[at] is None or _is_number(row[at]) for row in held)
        for at in range(len(columns))
    ]
    return [_line([column.upper() for column in columns], widths, is_right)] + [
        _line(row, widths, is_right) for row in cells
    ]


def facts_lines(facts: Mapping[str, Any]) -> list[str]:
    """Returns a line for each fact, with its name on the left. A fact that is None is left out."""
    known = {name: value for name, value in facts.items() if value is not None}
    width = max([len(name) for name in known], default=0)
    return [f"{name + ':':<{width + 1}} {printable(_text(value))}" for name, value in known.items()]


def printable(text: str) -> str:
    """Returns a text with its unprintable characters escaped."""
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in text
    )


def moment(milliseconds: int | None) -> str | None:
    """Returns the time of a resource as UTC, to the second."""
    if milliseconds is None:
        return None
    return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")


def plural(count: int, noun: str) -> str:
    """Returns a count with its noun."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def size(byte_count: int) -> str:
    """Returns a number of bytes in the unit that is read most easily."""
    amount, units = float(byte_count), ["bytes", "kB", "MB", "GB", "TB"]
    while amount >= 1000 and len(units) > 1:
        amount /= 1000
        units.pop(0)
    return f"{byte_count} bytes" if units[0] == "bytes" else f"{amount:.1f} {units[0]}"


def _line(cells: Sequence[str], widths: Sequence[int], is_right: Sequence[bool]) -> str:
    padded = [
        cell.rjust(width) if right else cell.ljust(width)
        for cell, width, right in zip(cells, widths, is_right, strict=True)
    ]
    return "  ".join(padded).rstrip()


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _cell(value: object) -> str:
    text = printable(_text(value))
    return text if len(text) <= CELL_CHARACTERS_MAX else text[: CELL_CHARACTERS_MAX - 1] + "…"


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _csv_lines(columns: Sequence[str], rows: Iterable[Row]) -> Iterator[str]:
    yield _csv_line(columns)
    for row in rows:
        yield _csv_line([_text(row.get(column)) for column in columns])


def _csv_line(cells: Sequence[str]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerow(cells)
    return buffer.getvalue()


def _write_all(parts: Iterable[str]) -> None:
    write: Callable[[str], object] = sys.stdout.write
    for part in parts:
        write(part)
    sys.stdout.flush()
