"""Converts columns that already have an Arrow type, as in Parquet, ORC and geographic files.

Theory ------ Most Arrow types say which of rowkeep's types their values have. Some only may: an unsigned
integer may leave 64 bits, a timestamp may have nanoseconds or lie in the year 10000, a decimal may have more
digits than a double. Each type has an order of types to try, ending in one that holds every value, and the
first that fits every value of the column is taken. Only columns with more than one type to try are looked at
before the rows are read. docs/files.md has the table.
"""

import base64
from collections.abc import Callable

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from rowkeep.formats.files.text_types import as_floats, as_integers
from rowkeep.model.types import VariableType

Convert = Callable[[pa.Array], pa.Array | None]
_Trial = tuple[VariableType, Convert]

_DAYS = (-719_162, 2_932_896)  # of 0001-01-01 and 9999-12-31, from 1970-01-01
_DAY_MICROSECONDS = 86_400_000_000
_NESTED = (
    pa.types.is_list,
    pa.types.is_large_list,
    pa.types.is_fixed_size_list,
    pa.types.is_struct,
    pa.types.is_map,
)


def _cast(type_: pa.DataType) -> Convert:
    def convert(array: pa.Array) -> pa.Array | None:
        try:
            return array.cast(type_)
        except pa.ArrowInvalid:
            return None

    return convert


def _days(array: pa.Array) -> pa.Array | None:
    days = _cast(pa.date32())(array)
    return days if days is not None and _is_within(days.view(pa.int32()), 1) else None


def _instants(array: pa.Array) -> pa.Array | None:
    instants = _cast(pa.timestamp("us"))(array)
    if instants is None or not _is_within(instants.view(pa.int64()), _DAY_MICROSECONDS):
        return None
    return instants


def _times(array: pa.Array) -> pa.Array | None:
    times = _cast(pa.time64("us"))(array)
    if times is None:
        return None
    found = pc.min_max(times.view(pa.int64())).as_py()
    return times if found["min"] is None or 0 <= found["min"] <= found["max"] < _DAY_MICROSECONDS else None


def _is_within(numbers: pa.Array, unit: int) -> bool:
    found = pc.min_max(numbers).as_py()
    return found["min"] is None or bool(
        _DAYS[0] * unit <= found["min"] and found["max"] < (_DAYS[1] + 1) * unit
    )


def _text(array: pa.Array) -> pa.Array:
    return array.cast(pa.string())


def _plain_decimals(array: pa.Array) -> pa.Array:
    """Returns decimals as digits, without the exponents that Arrow writes."""
    return pa.array(
        [None if value is None else f"{value:f}" for value in array.to_pylist()], type=pa.string()
    )


def _decimal_as(convert: Convert) -> Convert:
    return lambda array: convert(_plain_decimals(array))


def _utf8(array: pa.Array) -> pa.Array | None:
    try:
        return array.cast(pa.binary()).cast(pa.string())
    except pa.ArrowInvalid:
        return None


def _base64(array: pa.Array) -> pa.Array:
    texts = [None if value is None else base64.b64encode(value).decode() for value in array.to_pylist()]
    return pa.array(texts, type=pa.string())


def _json(array: pa.Array) -> pa.Array:
    encode = msgspec.json.Encoder(decimal_format="number", enc_hook=str).encode
    texts = [
        None if value is None else encode(value).decode() for value in array.to_pylist(maps_as_pydicts=None)
    ]
    return pa.array(texts, type=pa.string())


def _each_as_text(array: pa.Array) -> pa.Array:
    return pa.array([None if value is None else str(value) for value in array.to_pylist()], type=pa.string())


_STRING: _Trial = (VariableType.STRING, _text)
_TRIALS: tuple[tuple[Callable[[pa.DataType], bool], tuple[_Trial, ...]], ...] = (
    (pa.types.is_null, (_STRING,)),
    (pa.types.is_boolean, ((VariableType.BOOLEAN, _cast(pa.bool_())),)),
    (pa.types.is_integer, ((VariableType.INTEGER, _cast(pa.int64())), _STRING)),
    (pa.types.is_floating, ((VariableType.FLOAT, _cast(pa.float64())),)),
    (
        lambda type_: pa.types.is_decimal(type_) and type_.scale <= 0,
        ((VariableType.INTEGER, _decimal_as(as_integers)), (VariableType.STRING, _plain_decimals)),
    ),
    (
        pa.types.is_decimal,
        ((VariableType.FLOAT, _decimal_as(as_floats)), (VariableType.STRING, _plain_decimals)),
    ),
    (pa.types.is_date, ((VariableType.DATE, _days), (VariableType.DATE_TIME, _instants), _STRING)),
    (pa.types.is_timestamp, ((VariableType.DATE_TIME, _instants), _STRING)),
    (pa.types.is_time, ((VariableType.TIME, _times), _STRING)),
    (pa.types.is_duration, ((VariableType.INTEGER, _cast(pa.int64())),)),
    (pa.types.is_string, ((VariableType.STRING, lambda array: array),)),
    (lambda type_: pa.types.is_large_string(type_) or pa.types.is_string_view(type_), (_STRING,)),
    (
        lambda type_: (
            pa.types.is_binary(type_)
            or pa.types.is_large_binary(type_)
            or pa.types.is_binary_view(type_)
            or pa.types.is_fixed_size_binary(type_)
        ),
        ((VariableType.STRING, _utf8), (VariableType.STRING, _base64)),
    ),
    (lambda type_: any(is_nested(type_) for is_nested in _NESTED), ((VariableType.STRING, _json),)),
    (lambda _: True, ((VariableType.STRING, _each_as_text),)),
)


class ArrowColumn:
    """A column that is being converted to one of rowkeep's types."""

    def __init__(self, type_: pa.DataType) -> None:
        plain = _plain_type(type_)
        self._trials = next(trials for fits, trials in _TRIALS if fits(plain))
        self._position = 0
        self.arrow_type = plain
        self.note = _note(plain)

    @property
    def is_certain(self) -> bool:
        """Returns whether its Arrow type alone decides its type."""
        return len(self._trials) == 1

    @property
    def type(self) -> VariableType:
        """Returns the type that holds all values so far."""
        return self._trials[self._position][0]

    def convert(self, array: pa.Array) -> pa.Array:
        """Returns the values in that type, which may widen for them."""
        plain = _plain_array(array)
        while True:
            values = self._trials[self._position][1](plain)
            if values is not None:
                return values
            self._position += 1


def _plain_type(type_: pa.DataType) -> pa.DataType:
    if isinstance(type_, pa.BaseExtensionType):
        return _plain_type(pa.string() if isinstance(type_, pa.UuidType) else type_.storage_type)
    if pa.types.is_dictionary(type_) or pa.types.is_run_end_encoded(type_):
        return _plain_type(type_.value_type)
    return type_


def _plain_array(array: pa.Array) -> pa.Array:
    """Returns an array without dictionary, run-ends or extension."""
    if isinstance(array.type, pa.UuidType):
        return _each_as_text(array)
    if isinstance(array.type, pa.BaseExtensionType):
        return _plain_array(array.storage)
    if pa.types.is_dictionary(array.type):
        return _plain_array(array.dictionary_decode())
    if pa.types.is_run_end_encoded(array.type):
        return _plain_array(pc.run_end_decode(array))
    if pa.types.is_timestamp(array.type) and array.type.tz is not None:
        return array.cast(pa.timestamp(array.type.unit, "UTC")).cast(pa.timestamp(array.type.unit))
    return array


def _note(type_: pa.DataType) -> str | None:
    """Returns a warning about how such a column is converted, or None."""
    if pa.types.is_timestamp(type_) and type_.tz is not None:
        return f"its times are instants (zone {type_.tz}); they are kept as dateTime in UTC"
    if pa.types.is_duration(type_):
        return f"its durations are kept as integers ({type_.unit})"
    if any(is_nested(type_) for is_nested in _NESTED):
        return "its lists or records are kept as JSON text"
    return None
