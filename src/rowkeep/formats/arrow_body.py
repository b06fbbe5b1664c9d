"""Converts the rows of an Arrow stream to canonical text or to lines of JSON.

Theory
------
What is digested, stored and read again is text, whatever a body came as (model/chain.py). Columns become
text as a whole, not value by value, and are joined row by row.

There are two ways, as for every body:

* `canonical_texts` is taken when each column has the type of its variable or is cast to it without loss. The
  text is byte for byte that of the same rows sent as JSON, and needs no decoder. What it refuses is not
  yet an error.
* `write_lines` writes every value as JSON has it, nulls too. From there on it is a body of lines, which is
  decoded leniently, names every row that does not fit, skips it or lets the schema grow.

Both run in the decoding process alone: a stream that makes pyarrow crash, in spite of all checks
(arrowstream.py), takes nothing with it but the request that it came with.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import BinaryIO

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from rowkeep.formats.arrow import ARROW_TYPES
from rowkeep.formats.arrow_columns import plain_column, text_bytes
from rowkeep.formats.arrow_stream import arrow_batches, translated
from rowkeep.model.decoding.strict import CELL_BYTES_MAX, EXACT_INTEGER_MAX, StrictRefusal
from rowkeep.model.geography import geographies_are_valid
from rowkeep.model.inflating import inflated_too_large
from rowkeep.model.schema import Schema, Variable
from rowkeep.model.types import VariableType
from rowkeep.model.types.records import RECORDS

SLICE_ROWS_MAX = 5_000
# A null takes no byte of the body and some of text: wide rows are written out few at a time.
SLICE_CELLS_MAX = 200_000
_DAYS = (-719_162, 2_932_896)  # of 0001-01-01 and 9999-12-31, from 1970-01-01
_DAY_MICROSECONDS = 86_400_000_000


class _Texts(msgspec.Struct, frozen=True):
    """The values of a column as JSON texts, and the quote that stands around each."""

    texts: pa.Array
    quote: str = ""

    def pieces(self, before: str) -> list[pa.Array | str]:
        """Returns the pieces that each row is joined from: `before` and the value, or nothing for null."""
        around = [f"{before}{self.quote}", self.texts, self.quote]
        return [pc.binary_join_element_wise(*around, "")] if self.texts.null_count else around


def canonical_texts(body: memoryview, schema: Schema, *, bytes_max: int) -> Iterator[tuple[int, bytes]]:
    """Yields the canonical text of a body's rows in slices, each with its number of rows.

    Raises StrictRefusal when the rows do not fit as they are, invalid_request_error for a broken stream, and
    payload_too_large for more than `bytes_max` of text.
    """
    return _bounded(body, bytes_max, lambda part: canonical_batch_text(part, schema))


def write_lines(body: memoryview, output: BinaryIO, *, bytes_max: int) -> None:
    """Writes the rows of a body as JSON, one a line.

    A value that JSON does not have (NaN, text that is not UTF-8) is written as it is, so that its row is
    refused later. Raises invalid_request_error, payload_too_large for more than `bytes_max`.
    """
    for _, text in _bounded(body, bytes_max, _lines):
        output.write(text)


def _bounded(
    body: memoryview, bytes_max: int, text_of: Callable[[pa.RecordBatch], bytes]
) -> Iterator[tuple[int, bytes]]:
    """Yields the text of each slice of a body, with its number of rows."""
    size = 0
    with translated():
        for batch in arrow_batches(body):
            slice_rows = max(1, min(SLICE_ROWS_MAX, SLICE_CELLS_MAX // max(1, batch.num_columns)))
            for start in range(0, batch.num_rows, slice_rows):
                part = batch.slice(start, slice_rows)
                if size + sum(map(text_bytes, part.columns)) > bytes_max:
                    raise inflated_too_large(bytes_max)
                text = text_of(part)
                size += len(text)
                if size > bytes_max:
                    raise inflated_too_large(bytes_max)
                yield part.num_rows, text


def canonical_batch_text(batch: pa.RecordBatch, schema: Schema) -> bytes:
    """Returns the canonical text of the rows of a batch. Raises StrictRefusal for rows that do not fit."""
    columns = {name.lower(): column for name, column in zip(batch.schema.names, batch.columns, strict=True)}
    named: list[tuple[str, _Texts]] = []
    for variable in schema.variables:
        column = columns.pop(variable.name.lower(), None)
        if column is not None and not pa.types.is_null(column.type):
            named.append((variable.name, _typed_texts(plain_column(column), variable)))
    if columns:
        raise StrictRefusal
    return _joined(named, batch.num_rows)


def _lines(batch: pa.RecordBatch) -> bytes:
    named = []
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        named.append((name, _with_nulls(_texts(_in_microseconds(plain_column(column))))))
    return _joined(named, batch.num_rows)


def _with_nulls(texts: _Texts) -> _Texts:
    """Returns texts with each null written out."""
    if not texts.texts.null_count:
        return texts
    quoted = pc.binary_join_element_wise(texts.quote, texts.texts, texts.quote, "")
    return _Texts(quoted.fill_null("null"))


def _joined(named: Sequence[tuple[str, _Texts]], row_count: int) -> bytes:
    """Returns a line for each row, made of the values that are not null."""
    if not named or not row_count:
        return b"{}\n" * row_count
    pieces = [
        piece for name, texts in named for piece in texts.pieces(f",{msgspec.json.encode(name).decode()}:")
    ]
    options = {"null_handling": "replace", "null_replacement": ""}
    if isinstance(pieces[0], str):  # every row has the first value
        parts = _merged(["{" + pieces[0][1:], *pieces[1:], "}\n"])
        return _data(pc.binary_join_element_wise(*parts, "", **options))
    # No value holds a line feed, which is escaped in JSON. So what begins a line begins a row.
    text = _data(pc.binary_join_element_wise(*_merged(["\n{", *pieces, "}"]), "", **options))
    return text.replace(b"\n{,", b"\n{")[1:] + b"\n"


def _merged(pieces: Sequence[pa.Array | str]) -> list[pa.Array | str]:
    """Joins the constant pieces between two columns into one, since each piece costs time in every row."""
    merged: list[pa.Array | str] = []
    for piece in pieces:
        if isinstance(piece, str) and merged and isinstance(merged[-1], str):
            merged[-1] += piece
        else:
            merged.append(piece)
    return merged


def _data(texts: pa.Array) -> bytes:
    """Returns all texts of an array, one after the other."""
    _, offsets, data = texts.buffers()
    if data is None:
        return b""
    ends = memoryview(offsets).cast("B").cast("i")
    return bytes(memoryview(data)[ends[texts.offset] : ends[texts.offset + len(texts)]])


def _typed_texts(column: pa.Array, variable: Variable) -> _Texts:
    """Returns the values of a column that fits its variable as it is. Raises StrictRefusal."""
    if variable.is_empty and column.null_count < len(column):  # its first value decides its type
        raise StrictRefusal
    if not any(is_kind(column.type) for is_kind in _TAKEN[variable.type]):
        raise StrictRefusal
    try:
        typed = column.cast(ARROW_TYPES[variable.type], safe=True)
    except pa.ArrowInvalid as error:
        raise StrictRefusal from error
    _check_range(typed, variable)
    if variable.type is VariableType.GEOGRAPHY and not geographies_are_valid(typed.to_pylist()):
        raise StrictRefusal
    if pa.types.is_string(typed.type) and (pc.max(pc.binary_length(typed)).as_py() or 0) > CELL_BYTES_MAX:
        raise StrictRefusal
    if RECORDS[variable.type].has_fractions:
        return _Texts(_iso_texts(typed), '"')
    return _texts(typed)


_TAKEN: dict[VariableType, tuple[Callable[[pa.DataType], bool], ...]] = {
    type_: tuple(getattr(pa.types, f"is_{kind}") for kind in record.arrow_kinds)
    for type_, record in RECORDS.items()
}


def _check_range(column: pa.Array, variable: Variable) -> None:
    """Raises StrictRefusal for values that Arrow's types hold and rowkeep's do not."""
    if variable.type is VariableType.FLOAT:
        if not pc.all(pc.is_finite(column)).as_py() and len(column) > column.null_count:
            raise StrictRefusal
        return
    bounds = _BOUNDS.get(variable.type)
    if variable.type is VariableType.INTEGER and not variable.inexact:
        bounds = (-EXACT_INTEGER_MAX, EXACT_INTEGER_MAX)
    if bounds is None or len(column) == column.null_count:
        return
    numbers = column if variable.type is VariableType.INTEGER else column.view(_NUMBERS[variable.type])
    found = pc.min_max(numbers).as_py()
    if found["min"] < bounds[0] or found["max"] > bounds[1]:
        raise StrictRefusal


_NUMBERS = {
    VariableType.DATE: pa.int32(),
    VariableType.DATE_TIME: pa.int64(),
    VariableType.TIME: pa.int64(),
}
_BOUNDS = {
    VariableType.DATE: _DAYS,
    VariableType.DATE_TIME: (_DAYS[0] * _DAY_MICROSECONDS, (_DAYS[1] + 1) * _DAY_MICROSECONDS - 1),
    VariableType.TIME: (0, _DAY_MICROSECONDS - 1),
}


def _texts(column: pa.Array) -> _Texts:
    """Returns the values of a column. Times are in Arrow's form, with all their fraction digits."""
    type_ = column.type
    if pa.types.is_null(type_) or pa.types.is_integer(type_) or pa.types.is_decimal(type_):
        return _Texts(column.cast(pa.string()))
    if pa.types.is_binary(type_):
        return _Texts(_quoted_bytes(column))
    if pa.types.is_boolean(type_):
        return _Texts(pc.if_else(column, "true", "false"))
    if pa.types.is_floating(type_):
        return _Texts(_float_texts(column))
    if pa.types.is_string(type_) and _holds_escaped(_data(column)):
        return _Texts(_escaped_texts(column))
    texts = column.cast(pa.string())
    if pa.types.is_temporal(type_) and pc.any(pc.starts_with(texts, _NO_TIME)).as_py():
        return _Texts(_marked_times(texts))
    return _Texts(texts, '"')


_NO_TIME = "<value out of range"  # how pyarrow writes a date or a timestamp that no calendar has
_NO_TIME_MARK = "time-out-of-range"


def _marked_times(texts: pa.Array) -> pa.Array:
    """Returns times in quotes. A time without a text form becomes a word that JSON refuses in its row."""
    quoted = pc.binary_join_element_wise('"', texts, '"', "")
    return pc.if_else(pc.starts_with(texts, _NO_TIME), _NO_TIME_MARK, quoted)


_ESCAPED = bytes(range(0x20)) + b'"\\'


def _holds_escaped(data: bytes) -> bool:
    """Returns whether JSON writes any of these bytes in another way."""
    return len(data.translate(None, _ESCAPED)) != len(data)


def _escaped_texts(column: pa.Array) -> pa.Array:
    encode = msgspec.json.Encoder().encode
    texts = [None if text is None else encode(text).decode() for text in column.to_pylist()]
    return pa.array(texts, type=pa.string())


def _quoted_bytes(column: pa.Array) -> pa.Array:
    """Returns texts in quotes. Those that are not UTF-8 stay the bytes that they are."""
    encode = msgspec.json.Encoder().encode
    quoted: list[bytes | None] = []
    for value in column.to_pylist():
        try:
            quoted.append(None if value is None else encode(value.decode()))
        except UnicodeDecodeError:
            quoted.append(b'"%b"' % value.translate(_SPACES_FOR_ESCAPED))
    return pa.array(quoted, type=pa.binary()).view(pa.string())


_SPACES_FOR_ESCAPED = bytes.maketrans(_ESCAPED, b" " * len(_ESCAPED))


def _float_texts(column: pa.Array) -> pa.Array:
    # Arrow writes 1e+20 and -0, JSON as it is stored 1e20 and -0.0.
    filled = column.fill_null(0.0) if column.null_count else column
    numbers = memoryview(filled.buffers()[1]).cast("B").cast("d")
    numbers = numbers[filled.offset : filled.offset + len(filled)]
    texts = pa.array(msgspec.json.encode(numbers.tolist())[1:-1].decode().split(","), type=pa.string())
    finite = pc.is_finite(filled)
    if not pc.all(finite).as_py():
        signed = pc.if_else(pc.less(filled, 0), "-Infinity", "Infinity")
        texts = pc.if_else(finite, texts, pc.if_else(pc.is_nan(filled), "NaN", signed))
    return pc.if_else(column.is_valid(), texts, pa.scalar(None, pa.string())) if column.null_count else texts


def _iso_texts(column: pa.Array) -> pa.Array:
    """Returns times as JSON has them: with a T, and without a fraction of 0."""
    type_ = column.type
    is_timestamp = pa.types.is_timestamp(type_)
    try:
        texts = column.cast(pa.timestamp("s") if is_timestamp else pa.time32("s")).cast(pa.string())
    except pa.ArrowInvalid:
        texts = column.cast(pa.string())
        if b".000000" in _data(texts):
            texts = pc.replace_substring_regex(texts, r"\.000000$", "")
    return pc.binary_replace_slice(texts, 10, 11, "T") if is_timestamp else texts


def _in_microseconds(column: pa.Array) -> pa.Array:
    """Returns times in microseconds where that loses nothing.

    Others stay as they are, and are refused later for their 7th digit.
    """
    for is_type, type_ in (
        (pa.types.is_timestamp, pa.timestamp("us")),
        (pa.types.is_time, pa.time64("us")),
    ):
        if is_type(column.type):
            try:
                return column.cast(type_)
            except pa.ArrowInvalid:
                return column
    return column
