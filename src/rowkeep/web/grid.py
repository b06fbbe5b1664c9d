"""Rows as a page shows them: bounded in bytes, long cells cut."""

from collections.abc import AsyncIterator, Sequence

import msgspec

CELL_CHARACTERS_MAX = 200
PAGE_BYTES_MAX = 8 * 1024 * 1024


class Cell(msgspec.Struct, frozen=True):
    """A value as the grid shows it."""

    text: str
    is_null: bool = False
    is_number: bool = False
    is_cut: bool = False


Grid = list[list[Cell]]


async def cells_of(parts: AsyncIterator[bytes], names: Sequence[str]) -> Grid:
    """Returns the cells of these variables from JSON lines, up to the bytes that a page can hold."""
    return [[_cell(row.get(name)) for name in names] for row in await _rows_of(parts)]


async def _rows_of(parts: AsyncIterator[bytes]) -> list[dict[str, object]]:
    body = bytearray()
    async for part in parts:
        body += part
        if len(body) > PAGE_BYTES_MAX and b"\n" in body:
            break
    lines = bytes(body[: body.rfind(b"\n") + 1]).split(b"\n")
    return [msgspec.json.decode(line) for line in lines if line]


def _cell(value: object) -> Cell:
    if value is None:
        return Cell("null", is_null=True)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return Cell(text[:CELL_CHARACTERS_MAX], is_number=is_number, is_cut=len(text) > CELL_CHARACTERS_MAX)
