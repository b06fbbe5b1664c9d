"""Reading a stream of rows, step by step.

A step reads some entries (bounded in bytes) on one snapshot, decodes them and encodes them for the
reader. Between steps nothing is held: the journal only grows, so the rows that a read stream names are
the same at every step, and rows that came later lie beyond its ends. If rows are gone (their upload was
deleted) the step fails; it never makes a shorter stream look complete.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from rowkeep.model.decoding import Row, row_decoder
from rowkeep.model.errors import not_found
from rowkeep.model.resources import ReadStream, RowFormat, RowSlice
from rowkeep.model.schema import Schema
from rowkeep.storage.arrow import ArrowEncoder, CsvEncoder
from rowkeep.storage.base import CatalogView
from rowkeep.storage.columns import Column, columns_of
from rowkeep.storage.journal import entry_lines
from rowkeep.storage.jsonlines import JsonLinesEncoder

STEP_BYTES_MAX = 4 * 1024 * 1024
BATCH_ROWS_MAX = 20_000


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
        self._stream = stream
        self._slices = _slices_after(stream.slices, offset)
        self._with_sentinel = with_sentinel
        self._encoder: Encoder = _ENCODERS[stream.format](stream.schema)
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
        if self._slices:
            parts.extend(self._read_on(view))
        if not self._slices:
            self._has_ended = True
            if self._with_sentinel:
                parts.append(self._encoder.sentinel())
            parts.append(self._encoder.end())
        return b"".join(parts)

    def _read_on(self, view: CatalogView) -> Iterator[bytes]:
        slice_ = self._slices[0]
        row = slice_.first_row
        pending: list[Row] = []
        source_version = 0
        for entry in view.entries(slice_.upload_id, row, slice_.row_end, STEP_BYTES_MAX):
            if not entry.first_row <= row < entry.first_row + entry.row_count:
                break
            if entry.schema_version != source_version:
                yield from self._encode(view, slice_.upload_id, source_version, pending)
                pending, source_version = [], entry.schema_version
            row_end = min(entry.first_row + entry.row_count, slice_.row_end)
            rows = row_decoder(view.schema(slice_.upload_id, source_version)).read(entry_lines(entry))
            pending += rows[row - entry.first_row : row_end - entry.first_row]
            row = row_end
        if row == slice_.first_row:
            raise not_found("The rows of this read are gone: their upload was deleted.")
        yield from self._encode(view, slice_.upload_id, source_version, pending)
        rest = RowSlice(slice_.upload_id, row, slice_.row_end)
        self._slices = ([rest] if row < slice_.row_end else []) + self._slices[1:]

    def _encode(
        self, view: CatalogView, upload_id: int, schema_version: int, rows: Sequence[Row]
    ) -> Iterator[bytes]:
        for start in range(0, len(rows), BATCH_ROWS_MAX):
            batch = rows[start : start + BATCH_ROWS_MAX]
            source = view.schema(upload_id, schema_version)
            yield self._encoder.batch(columns_of(batch, source, self._stream.schema), len(batch))


def _slices_after(slices: Sequence[RowSlice], offset: int) -> list[RowSlice]:
    left: list[RowSlice] = []
    for slice_ in slices:
        size = slice_.row_end - slice_.first_row
        skipped = min(offset, size)
        offset -= skipped
        if skipped < size:
            left.append(RowSlice(slice_.upload_id, slice_.first_row + skipped, slice_.row_end))
    return left
