"""Columns of clients' Arrow streams: checks types and layouts, and converts them to plain ones.

Theory
------
Tools write the same values in many layouts: text as strings, large strings, views or dictionaries of them,
times in four units, numbers in a dozen widths. `plain_column` brings each to one of few. Before that
`sound_column` holds a column to Arrow's rules, because pyarrow trusts what it casts.

A value that breaks a rule is no reason to refuse the others. Text that is no UTF-8, a time beyond the day,
a date64 within a day and a decimal of more digits than its type has stay what they are, in a type that
shows them: they become errors of their rows when the rows are decoded. Where the layout itself is broken (an
offset beyond its buffer) the whole body is refused.

pyarrow 26 finds views sound that crash it when they are cast. So their lengths and places are checked here,
and views of nulls, which nobody should look at, are emptied.
"""

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rowkeep.model.errors import invalid_request

_EXTENSION = b"ARROW:extension:name"
_INLINE_BYTES_MAX = 12
_DIGITS_MAX = 76  # of a decimal256
_VIEW_BYTES = 16
_DAY = {"s": 86_400, "ms": 86_400_000, "us": 86_400_000_000, "ns": 86_400_000_000_000}

_READABLE: tuple[Callable[[pa.DataType], bool], ...] = (
    pa.types.is_null,
    pa.types.is_boolean,
    pa.types.is_integer,
    pa.types.is_floating,
    pa.types.is_decimal,
    pa.types.is_string,
    pa.types.is_large_string,
    pa.types.is_string_view,
    pa.types.is_date,
    pa.types.is_time,
)
_BYTES = (
    pa.types.is_binary,
    pa.types.is_large_binary,
    pa.types.is_binary_view,
    pa.types.is_fixed_size_binary,
)


def check_type(field: pa.Field) -> None:
    """Raises invalid_request_error for a column whose type no variable takes, and says what to do."""
    _check_meaning(field)
    type_ = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
    if pa.types.is_timestamp(type_):
        if type_.tz is None:
            return
        advice = (
            "Variables keep no time zone. Take it away first, and say in the description which one it was: "
            "`.dt.tz_localize(None)` in pandas, `.dt.replace_time_zone(None)` in polars, "
            "`CAST(... AS TIMESTAMP)` in SQL, `format()` in R."
        )
    elif any(is_type(type_) for is_type in _READABLE):
        return
    elif any(is_type(type_) for is_type in _BYTES):
        advice = "Send bytes as text, such as base64."
    elif pa.types.is_nested(type_):
        advice = "Make a column of each part, or send it as text, such as JSON."
    elif pa.types.is_duration(type_) or pa.types.is_interval(type_):
        advice = "Send how long something took as a number, such as seconds."
    else:
        advice = "Cast it to a boolean, integer, float, string, date, time, or timestamp without a time zone."
    raise invalid_request(
        f'The column "{field.name}" has the Arrow type {field.type}, which no variable takes. {advice}'
    )


def _check_meaning(field: pa.Field) -> None:
    """Raises invalid_request_error for periods of pandas, whose numbers mean nothing without a unit."""
    is_known = isinstance(field.type, pa.BaseExtensionType)  # as it is where pandas was imported
    name = (
        field.type.extension_name
        if is_known
        else (field.metadata or {}).get(_EXTENSION, b"").decode(errors="replace")
    )
    if name == "pandas.period":
        raise invalid_request(
            f'The column "{field.name}" holds periods of pandas, which Arrow has as numbers since 1970. Send '
            "text or times instead: `.astype(str)` or `.dt.to_timestamp()` in pandas."
        )


def sound_column(column: pa.Array) -> pa.Array:
    """Returns a column that keeps Arrow's rules. Its type can hold the values that broke them.

    Raises ArrowInvalid.
    """
    if pa.types.is_dictionary(column.type):
        column.indices.validate(full=True)
        return pa.DictionaryArray.from_arrays(column.indices, sound_column(column.dictionary), safe=True)
    if pa.types.is_string_view(column.type):
        return _sound_views(column)
    try:
        column.validate(full=True)
    except pa.ArrowInvalid:
        return _shown_column(column)
    return column


def _shown_column(column: pa.Array) -> pa.Array:
    """Returns a column in a type that holds its invalid values. Raises ArrowInvalid for a broken layout."""
    type_ = column.type
    column.validate()
    if pa.types.is_string(type_) or pa.types.is_large_string(type_):
        shown = column.view(pa.binary() if pa.types.is_string(type_) else pa.large_binary())
        shown.validate(full=True)
        return shown
    if pa.types.is_date64(type_):
        return column.view(pa.timestamp("ms"))
    if pa.types.is_decimal(type_) and not pa.types.is_decimal256(type_):
        return column.cast(pa.decimal256(_DIGITS_MAX, type_.scale))  # DuckDB's hugeint has up to 39 digits
    if pa.types.is_time(type_):
        numbers = column.view(pa.int32() if pa.types.is_time32(type_) else pa.int64())
        fits = pc.and_(pc.greater_equal(numbers, 0), pc.less(numbers, _DAY[type_.unit]))
        times = pc.if_else(fits, numbers, pa.scalar(0, numbers.type)).view(type_)
        beyond = pc.if_else(pc.equal(numbers, _DAY[type_.unit]), "24:00:00", numbers.cast(pa.string()))
        return pc.if_else(fits, times.cast(pa.string()), beyond)
    column.validate(full=True)
    return column


def _sound_views(column: pa.Array) -> pa.Array:
    """Returns views that lie within their buffers. Those of nulls become empty. Raises ArrowInvalid."""
    column.validate()
    validity, views, *texts = column.buffers()
    end = column.offset + len(column)
    if not end:
        return pa.array([], pa.string())
    if views is None or views.size < end * _VIEW_BYTES:
        raise pa.ArrowInvalid("the views of a column are cut off")
    heads = np.frombuffer(views, np.int32, end * 4).reshape(end, 4).copy()
    is_valid = np.ones(end, bool)
    is_valid[column.offset :] = column.is_valid().to_numpy(zero_copy_only=False)
    heads[~is_valid] = 0
    heads[: column.offset] = 0
    lengths = heads[:, 0].astype(np.int64)
    is_long = lengths > _INLINE_BYTES_MAX
    places, starts = heads[is_long, 2], heads[is_long, 3].astype(np.int64)
    sizes = np.array([0 if text is None else text.size for text in texts], np.int64)
    is_placed = (places >= 0) & (places < len(sizes)) & (starts >= 0)
    if (lengths < 0).any() or not is_placed.all() or (starts + lengths[is_long] > sizes[places]).any():
        raise pa.ArrowInvalid("a view of a column lies outside of its buffers")
    return pa.Array.from_buffers(
        column.type, len(column), [validity, pa.py_buffer(heads), *texts], offset=column.offset
    )


def plain_column(column: pa.Array) -> pa.Array:
    """Returns a column without a dictionary, in the type of its kind with 64 bits or the usual layout."""
    if pa.types.is_dictionary(column.type):
        values = plain_column(column.dictionary)
        return pa.DictionaryArray.from_arrays(column.indices, values).dictionary_decode()
    if pa.types.is_string_view(column.type):
        return sound_column(column.cast(pa.string()))
    if pa.types.is_large_string(column.type):
        return column.cast(pa.string())
    if pa.types.is_large_binary(column.type):
        return column.cast(pa.binary())
    if pa.types.is_floating(column.type):
        return column.cast(pa.float64())
    if pa.types.is_date(column.type):
        return column.cast(pa.date32())
    return column


def text_bytes(column: pa.Array) -> int:
    """Returns how many bytes of text a column has when it is written out."""
    if pa.types.is_dictionary(column.type):
        if not _is_text(column.dictionary.type):
            return 0
        return _sum(pc.take(_lengths(column.dictionary), column.indices))
    return _sum(_lengths(column)) if _is_text(column.type) else 0


def _is_text(type_: pa.DataType) -> bool:
    kinds = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view, *_BYTES)
    return any(is_kind(type_) for is_kind in kinds)


def _lengths(column: pa.Array) -> pa.Array:
    if not pa.types.is_string_view(column.type):
        return pc.binary_length(column).cast(pa.int64())
    heads = np.frombuffer(column.buffers()[1], np.int32).reshape(-1, 4)
    return pa.array(heads[column.offset : column.offset + len(column), 0].astype(np.int64))


def _sum(lengths: pa.Array) -> int:
    return pc.sum(lengths).as_py() or 0
