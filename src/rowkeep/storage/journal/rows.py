"""Decodes journal entries into rows, piece by piece, for readers and for the sealer."""

from collections.abc import Iterator

from rowkeep.model.decoding.strict import Row, RowDecoder
from rowkeep.model.resources import Entry
from rowkeep.storage.journal.entries import entry_lines

DECODED_CELLS_MAX = 4_000_000


def decoded_pieces(entry: Entry, decoder: RowDecoder) -> Iterator[tuple[list[Row], int]]:
    """Yields the rows of an entry in order, in pieces bounded in cells, each with its size in bytes.

    Raises internal_error for an entry that was damaged.
    """
    lines = entry_lines(entry)
    for piece in _pieces(lines, entry.row_count * len(decoder.schema.variables)):
        yield decoder.read(piece), len(piece)


def decoded_bodies(entry: Entry, decoder: RowDecoder) -> Iterator[tuple[list[list[Row]], int]]:
    """Yields like `decoded_pieces`, with a list of rows for each request body."""
    lines = entry_lines(entry)
    for piece in _pieces(lines, entry.row_count * len(decoder.schema.variables)):
        yield decoder.read_bodies(piece), len(piece)


def _pieces(lines: bytes, cell_count: int) -> Iterator[bytes]:
    """Yields pieces of lines that decode to about DECODED_CELLS_MAX cells, or to one request body."""
    if cell_count <= DECODED_CELLS_MAX:
        yield lines
        return
    bodies = lines.split(b"\n")
    size = max(1, len(bodies) * DECODED_CELLS_MAX // cell_count)
    for start in range(0, len(bodies), size):
        yield b"\n".join(bodies[start : start + size])
