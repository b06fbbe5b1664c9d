"""Reading a stream of rows, step by step.

A step takes up where the last one stopped: it reads some entries on its snapshot (bounded in bytes),
decodes them (bounded in cells) and encodes batches until a part of the body is full. Between steps only
entries that wait to be decoded are held: the journal only grows, so the rows that a read stream names are
the same at every step, and rows that came later lie beyond its ends. If rows are gone (their upload was
deleted) the step fails; it never makes a shorter stream look complete.

Cells are bounded beside bytes because a row without values takes two bytes in the journal and a pointer
for each variable once it is decoded.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Protocol

from rowkeep.model.decoding import Row, RowDecoder, row_decoder
from rowkeep.model.errors import not_found
from rowkeep.model.resources import Entry, ReadStream, RowFormat, RowSlice
from rowkeep.model.schema import Schema
from rowkeep.storage.arrow import ArrowEncoder, CsvEncoder
from rowkeep.storage.base import CatalogView
from rowkeep.storage.columns import Column, columns_of
from rowkeep.storage.journal import entry_lines
from rowkeep.storage.jsonlines import JsonLinesEncoder

# What one statement reads, what one decoding makes, what one batch holds, what one step sends.
READ_BYTES_MAX = 4 * 1024 * 1024
DECODED_CELLS_MAX = 4_000_000
BATCH_ROWS_MAX = 20_000
BATCH_CELLS_MAX = 400_000
BATCH_BYTES_MAX = 1024 * 1024
STEP_BYTES_MAX = 1024 * 1024
STEP_BATCHES_MAX = 16

_Rows = tuple[Schema, list[Row]]
_Piece = tuple[Schema, list[Row], int]  # rows, and how many of them make a batch


class Encoder(Protocol):
    """Columns into the bytes of a format."""

    def start(self) -> bytes: ...

    def batch(self, columns: Sequence[Column], row_count: int) -> bytes: ...

    def sentinel(self) -> bytes: ...

    def end(self) -> bytes: ...


_ENCODERS: dict[RowFormat, Callable[[Schema], Encoder]] = {
    RowFormat.ARROW: ArrowEncoder,
    RowFormat.CSV: CsvEncoder,
    RowFormat.JSON_LINES: JsonLinesEncoder,
}


class StreamReader:
    """One reading of a read stream from an offset; `step` until it returns None."""

    def __init__(self, stream: ReadStream, *, offset: int, with_sentinel: bool) -> None:
        self._schema = stream.schema
        self._slices = _slices_after(stream.slices, offset)
        self._with_sentinel = with_sentinel
        self._encoder: Encoder = _ENCODERS[stream.format](stream.schema)
        self._batches: Iterator[_Rows] = iter(())
        self._has_started = False
        self._has_ended = False

    def step(self, view: CatalogView) -> bytes | None:
        """The next part of the body, or None after the last. Raises not_found_error for lost rows."""
        if self._has_ended:
            return None
        parts: list[bytes] = []
        if not self._has_started:
            self._has_started = True
            parts.append(self._encoder.start())
        size = 0
        for _ in range(STEP_BATCHES_MAX):
            batch = self._next_batch(view)
            if batch is None:
                parts.append(self._ending())
                break
            parts.append(self._encode(*batch))
            size += len(parts[-1])
            if size >= STEP_BYTES_MAX:
                break
        return b"".join(parts)

    def _next_batch(self, view: CatalogView) -> _Rows | None:
        batch = next(self._batches, None)
        while batch is None and self._slices:
            self._batches = self._read_on(view, self._slices.popleft())
            batch = next(self._batches, None)
        return batch

    def _read_on(self, view: CatalogView, slice_: RowSlice) -> Iterator[_Rows]:
        entries = view.entries(slice_.upload_id, slice_.first_row, slice_.row_end, READ_BYTES_MAX)
        row = slice_.first_row
        found: list[Entry] = []
        for entry in entries:
            if not entry.first_row <= row < entry.first_row + entry.row_count:
                break
            found.append(entry)
            row = min(entry.first_row + entry.row_count, slice_.row_end)
        if not found:
            raise not_found("The rows of this read are gone: their upload was deleted.")
        if row < slice_.row_end:
            self._slices.appendleft(RowSlice(slice_.upload_id, row, slice_.row_end))
        decoders = {
            version: row_decoder(view.schema(slice_.upload_id, version))
            for version in {entry.schema_version for entry in found}
        }
        wanted = RowSlice(slice_.upload_id, slice_.first_row, row)
        return _batches(_decoded(found, decoders, wanted, len(self._schema.variables)))

    def _encode(self, source: Schema, rows: Sequence[Row]) -> bytes:
        return self._encoder.batch(columns_of(rows, source, self._schema), len(rows))

    def _ending(self) -> bytes:
        self._has_ended = True
        sentinel = self._encoder.sentinel() if self._with_sentinel else b""
        return sentinel + self._encoder.end()


def _decoded(
    entries: Iterable[Entry], decoders: Mapping[int, RowDecoder], slice_: RowSlice, target_width: int
) -> Iterator[_Piece]:
    """The rows of a slice, in pieces of one schema each."""
    for entry in entries:
        decoder = decoders[entry.schema_version]
        width = max(1, target_width, len(decoder.schema.variables))
        row = entry.first_row
        for lines in _pieces(entry_lines(entry), entry.row_count * len(decoder.schema.variables)):
            rows = decoder.read(lines)
            fitting = BATCH_BYTES_MAX * len(rows) // len(lines)
            batch_rows = max(1, min(BATCH_ROWS_MAX, BATCH_CELLS_MAX // width, fitting))
            wanted = rows[max(slice_.first_row - row, 0) : max(slice_.row_end - row, 0)]
            yield decoder.schema, wanted, batch_rows
            row += len(rows)


def _pieces(lines: bytes, cell_count: int) -> Iterator[bytes]:
    """Lines in pieces that decode to about DECODED_CELLS_MAX cells, or to one request body."""
    if cell_count <= DECODED_CELLS_MAX:
        yield lines
        return
    bodies = lines.split(b"\n")
    size = max(1, len(bodies) * DECODED_CELLS_MAX // cell_count)
    for start in range(0, len(bodies), size):
        yield b"\n".join(bodies[start : start + size])


def _batches(pieces: Iterable[_Piece]) -> Iterator[_Rows]:
    """Pieces put together and cut into batches of one schema each; none is empty."""
    held: list[Row] = []
    held_schema: Schema | None = None
    for schema, rows, batch_rows in pieces:
        if held_schema is not None and schema is not held_schema:
            if held:
                yield held_schema, held
            held = []
        held_schema = schema
        held += rows
        full = len(held) - len(held) % batch_rows
        for start in range(0, full, batch_rows):
            yield schema, held[start : start + batch_rows]
        held = held[full:]
    if held_schema is not None and held:
        yield held_schema, held


def _slices_after(slices: Sequence[RowSlice], offset: int) -> deque[RowSlice]:
    left: deque[RowSlice] = deque()
    for slice_ in slices:
        size = slice_.row_end - slice_.first_row
        skipped = min(offset, size)
        offset -= skipped
        if skipped < size:
            left.append(RowSlice(slice_.upload_id, slice_.first_row + skipped, slice_.row_end))
    return left
