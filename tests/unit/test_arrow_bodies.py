"""Arrow streams as text: the same as JSON of the same rows, or refused; nothing that is sent breaks it."""

import datetime
import io
import json
import math
from typing import Any

import msgspec
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from rowkeep.formats.arrow import ARROW_TYPES
from rowkeep.formats.arrow_body import canonical_texts, write_lines
from rowkeep.model.chain import canonical_text as text_of_rows
from rowkeep.model.decoding.lenient import decode_leniently
from rowkeep.model.decoding.strict import StrictRefusal, row_decoder
from rowkeep.model.errors import ErrorCode, RowkeepError
from rowkeep.model.schema import Schema, Variable
from rowkeep.model.types import VariableType

EXACT = 2**53
VALUES: dict[VariableType, some.SearchStrategy[Any]] = {
    VariableType.STRING: some.text(some.characters(exclude_categories=["Cs"]), max_size=8),
    VariableType.INTEGER: some.integers(-EXACT, EXACT),
    VariableType.FLOAT: some.floats(allow_nan=False, allow_infinity=False),
    VariableType.BOOLEAN: some.booleans(),
    VariableType.DATE: some.dates(),
    VariableType.DATE_TIME: some.datetimes() | some.datetimes().map(lambda time: time.replace(microsecond=0)),
    VariableType.TIME: some.times() | some.times().map(lambda time: time.replace(microsecond=0)),
    VariableType.GEOGRAPHY: some.sampled_from(["POINT(1 2)", "LINESTRING(0 0, 1 1)", "POINT EMPTY"]),
}
SCHEMA = Schema(1, tuple(Variable(f"{type_.value}_", type_) for type_ in VariableType))


def stream_of(table: pa.Table, *, rows_per_batch: int | None = None, **options: Any) -> bytes:
    """A table as an Arrow stream."""
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        writer.write_table(table, max_chunksize=rows_per_batch)
    return sink.getvalue()


def one(array: pa.Array, name: str = "v") -> bytes:
    """A stream of one column."""
    return stream_of(pa.table({name: array}))


def schema_of(type_: VariableType, *, inexact: bool = False) -> Schema:
    """One variable."""
    return Schema(1, (Variable("v", type_, inexact=inexact),))


def canonical_text(body: bytes, schema: Schema) -> tuple[int, bytes]:
    """How many rows a body has, and their text."""
    parts = list(canonical_texts(memoryview(body), schema, bytes_max=2**20))
    return sum(count for count, _ in parts), b"".join(text for _, text in parts)


def lines_of(body: bytes, bytes_max: int = 2**20) -> list[Any]:
    """The rows of a body as lines."""
    output = io.BytesIO()
    write_lines(memoryview(body), output, bytes_max=bytes_max)
    text = output.getvalue()
    assert text == b"" or text.endswith(b"\n")
    return [json.loads(line) for line in text.splitlines()]


def text_of_lines(body: bytes) -> bytes:
    """The rows of a body as lines, to the byte."""
    output = io.BytesIO()
    write_lines(memoryview(body), output, bytes_max=2**20)
    return output.getvalue()


ROWS = some.lists(
    some.tuples(*(some.none() | VALUES[variable.type] for variable in SCHEMA.variables)), max_size=6
)


@given(ROWS, some.integers(1, 3), some.permutations(range(len(SCHEMA.variables))))
@settings(deadline=None)
def test_the_text_is_that_of_json(rows: list[tuple[Any, ...]], chunk: int, order: list[int]) -> None:
    """Whatever the values, the batches and the order of the columns, the text is what decoding JSON gives."""
    columns = [
        pa.array([row[index] for row in rows], ARROW_TYPES[SCHEMA.variables[index].type]) for index in order
    ]
    table = pa.table(columns, names=[SCHEMA.variables[index].name.upper() for index in order])
    body = {"rows": [{v.name: value for v, value in zip(SCHEMA.variables, row, strict=True)} for row in rows]}
    line = decode_leniently(msgspec.json.encode(body), SCHEMA, updates_by_default=False).body
    decoded = row_decoder(SCHEMA).read(line)
    stream = stream_of(table, rows_per_batch=chunk)
    assert canonical_text(stream, SCHEMA) == (len(rows), text_of_rows(decoded))
    as_lines = [{name.lower(): value for name, value in row.items()} for row in lines_of(stream)]
    again = [{key.lower(): value for key, value in row.items() if value is not None} for row in as_lines]
    encoded = [
        {key.lower(): value for key, value in json.loads(line).items()}
        for line in text_of_rows(decoded).splitlines()
    ]
    assert [_timeless(row) for row in again] == [_timeless(row) for row in encoded]


def _timeless(row: dict[str, Any]) -> dict[str, Any]:
    """Times in one form: lines have a space for the T and all fraction digits."""
    return {
        key: value.replace("T", " ").removesuffix(".000000")
        if key.startswith(("datetime", "time"))
        else value
        for key, value in row.items()
    }


WHEN = datetime.datetime(2026, 1, 31, 12, 30, 5)


@pytest.mark.parametrize(
    ("array", "type_", "shown"),
    [
        (pa.array([1, None], pa.int8()), VariableType.INTEGER, 1),
        (pa.array([1, None], pa.uint64()), VariableType.INTEGER, 1),
        (pa.array([7, None], pa.int32()), VariableType.FLOAT, 7.0),
        (pa.array([1.5, None], pa.float32()), VariableType.FLOAT, 1.5),
        (pa.array([1.5, None], pa.float16()), VariableType.FLOAT, 1.5),
        (pa.array(["é\n", None], pa.large_string()), VariableType.STRING, "é\n"),
        (pa.array(["a", None]).dictionary_encode(), VariableType.STRING, "a"),
        (pa.array([3, None]).dictionary_encode(), VariableType.INTEGER, 3),
        (pa.array([WHEN, None], pa.timestamp("s")), VariableType.DATE_TIME, "2026-01-31T12:30:05"),
        (pa.array([WHEN, None], pa.timestamp("ms")), VariableType.DATE_TIME, "2026-01-31T12:30:05"),
        (pa.array([WHEN, None], pa.timestamp("ns")), VariableType.DATE_TIME, "2026-01-31T12:30:05"),
        (pa.array([WHEN.date(), None], pa.date64()), VariableType.DATE, "2026-01-31"),
        (pa.array([WHEN.time(), None], pa.time32("s")), VariableType.TIME, "12:30:05"),
        (pa.array([WHEN.time(), None], pa.time64("ns")), VariableType.TIME, "12:30:05"),
        (pa.nulls(2), VariableType.DATE, None),
    ],
    ids=lambda value: str(value.type) if isinstance(value, pa.Array) else str(value)[:12],
)
def test_what_is_cast_without_loss(array: pa.Array, type_: VariableType, shown: Any) -> None:
    """Narrower and wider relatives of a variable's type, sliced or not."""
    first = {} if shown is None else {"v": shown}
    for part, expected in ((array, [first, {}]), (array.slice(1), [{}]), (array.slice(0, 1), [first])):
        count, text = canonical_text(one(part), schema_of(type_))
        assert (count, [json.loads(line) for line in text.splitlines()]) == (len(part), expected)


@pytest.mark.parametrize(
    ("array", "type_"),
    [
        (pa.array([EXACT + 1]), VariableType.INTEGER),
        (pa.array([2**63], pa.uint64()), VariableType.INTEGER),
        (pa.array([EXACT + 1]), VariableType.FLOAT),
        (pa.array([1.0]), VariableType.INTEGER),
        (pa.array(["1"]), VariableType.INTEGER),
        (pa.array([math.nan]), VariableType.FLOAT),
        (pa.array([math.inf, None]), VariableType.FLOAT),
        (pa.array([1]), VariableType.BOOLEAN),
        (pa.array([2_932_897], pa.int32()).view(pa.date32()), VariableType.DATE),
        (pa.array([-719_163], pa.int32()).view(pa.date32()), VariableType.DATE),
        (pa.array([1], pa.timestamp("ns")), VariableType.DATE_TIME),
        (pa.array([2**62], pa.timestamp("us")), VariableType.DATE_TIME),
        (pa.array([1], pa.time64("ns")), VariableType.TIME),
        (pa.array([WHEN]), VariableType.DATE),
        (pa.array(["nowhere"]), VariableType.GEOGRAPHY),
        (pa.array([1]), VariableType.STRING),
    ],
    ids=str,
)
def test_what_does_not_fit_as_it_is(array: pa.Array, type_: VariableType) -> None:
    """The door does not take it; the other path decides."""
    with pytest.raises(StrictRefusal):
        canonical_text(one(array), schema_of(type_))


def test_a_column_too_many() -> None:
    """A column of which the schema knows nothing is not passed over."""
    with pytest.raises(StrictRefusal):
        canonical_text(one(pa.array([1]), "w"), schema_of(VariableType.INTEGER))


def test_an_integer_variable_with_large_values_takes_all() -> None:
    """Once it is marked, as for JSON (model/schema.py)."""
    array = pa.array([2**63 - 1, -(2**63)])
    count, text = canonical_text(one(array), schema_of(VariableType.INTEGER, inexact=True))
    assert (count, text) == (2, b'{"v":9223372036854775807}\n{"v":-9223372036854775808}\n')


def test_rows_without_columns() -> None:
    """They are rows of nulls."""
    batch = pa.RecordBatch.from_struct_array(pa.array([{}] * 3, type=pa.struct([])))
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    assert canonical_text(sink.getvalue(), schema_of(VariableType.DATE)) == (3, b"{}\n" * 3)
    assert lines_of(sink.getvalue()) == [{}] * 3


def test_lines_show_what_json_has_not() -> None:
    """NaN, text that is no UTF-8 and times beyond the day are written as they are, to be refused by row."""
    body = stream_of(pa.table({"v": [1.0, None, math.nan, math.inf, -math.inf]}), rows_per_batch=2)
    assert text_of_lines(body) == b'{"v":1.0}\n{"v":null}\n{"v":NaN}\n{"v":Infinity}\n{"v":-Infinity}\n'
    text = pa.array([b"a", None, b'\xff"\n'], pa.binary())
    for array in (text, text.cast(pa.large_binary()), text.dictionary_encode()):
        no_text = {pa.binary(): pa.string(), pa.large_binary(): pa.large_string()}
        if pa.types.is_dictionary(array.type):
            array = pa.DictionaryArray.from_arrays(array.indices, array.dictionary.view(pa.string()))
        else:
            array = array.view(no_text[array.type])
        assert text_of_lines(one(array)) == b'{"v":"a"}\n{"v":null}\n{"v":"\xff  "}\n'
    times = pa.array([43_200, None, 90_000, 86_400], pa.int32()).view(pa.time32("s"))
    assert text_of_lines(one(times)) == b'{"v":"12:00:00"}\n{"v":null}\n{"v":"90000"}\n{"v":"24:00:00"}\n'
    within_a_day = pa.array([86_400_000, 1], pa.int64()).view(pa.date64())
    assert text_of_lines(one(within_a_day)).startswith(b'{"v":"1970-01-02 00:00:00')
    assert lines_of(one(pa.array([1, 1000], pa.timestamp("ns")))) == [
        {"v": "1970-01-01 00:00:00.000000001"},
        {"v": "1970-01-01 00:00:00.000001000"},
    ]


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "is cut off"),
        (b'{"rows": []}', "cannot be read as an Arrow stream"),
        (b"ARROW1\0\0", "is an Arrow file"),
        (one(pa.array([1, 2, 3]))[:-60], "Arrow stream"),
        (one(pa.array([1, 2, 3]))[:-8], "is cut off"),
        (stream_of(pa.table({"v": [1] * 1000}), compression="zstd"), "compressed"),
        (stream_of(pa.table({"v": [1] * 1000}), compression="lz4"), "compressed"),
        (stream_of(pa.table([[1], [2]], names=["v", "V"])), 'two columns "V"'),
        (one(pa.array([[1]])), "list<item: int64>"),
        (one(pa.array([b"x"])), "binary"),
        (one(pa.array([b"x"], pa.binary_view())), "base64"),
        (one(pa.array([1], pa.duration("us"))), "duration[us]"),
        (one(pa.array([WHEN], pa.timestamp("us", "UTC"))), "timestamp[us, tz=UTC]"),
        (one(pa.array([{"a": 1}])), "struct"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_no_stream_of_rows(body: bytes, says: str) -> None:
    """It is refused in words that say what to send, by both paths."""
    for read in (lambda: canonical_text(body, schema_of(VariableType.INTEGER)), lambda: lines_of(body)):
        with pytest.raises(RowkeepError) as refused:
            read()
        assert refused.value.code is ErrorCode.INVALID_REQUEST
        assert says in refused.value.message


def test_what_repeats_itself_is_bounded() -> None:
    """What a dictionary's text comes to is known before it is made."""
    repeated = pa.DictionaryArray.from_arrays(pa.array([0] * 100_000, pa.int8()), pa.array(["x" * 10_000]))
    for read in (lambda body: canonical_text(body, schema_of(VariableType.STRING)), lines_of):
        with pytest.raises(RowkeepError) as refused:
            read(one(repeated))
        assert refused.value.code is ErrorCode.PAYLOAD_TOO_LARGE


def without_columns(row_count: int) -> bytes:
    """A stream that declares rows and has no column."""
    rows = pa.Array.from_buffers(pa.struct([]), row_count, [None])
    return batches_of(pa.RecordBatch.from_struct_array(rows))


def batches_of(*batches: pa.RecordBatch) -> bytes:
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, batches[0].schema) as writer:
        for batch in batches:
            writer.write_batch(batch)
    return sink.getvalue()


_MANY = 200_000_000
_NULLS = pa.RecordBatch.from_arrays([pa.nulls(_MANY)], names=["v"])
_NULL_VALUES = pa.DictionaryArray.from_arrays(pa.array([0], pa.int32()), pa.nulls(_MANY))


@pytest.mark.parametrize(
    "body",
    [
        without_columns(_MANY),
        batches_of(_NULLS),
        batches_of(*[_NULLS.slice(0, 20_000)] * 10),
        batches_of(pa.RecordBatch.from_arrays([_NULL_VALUES], names=["v"])),
        without_columns(2**62),
    ],
    ids=["no columns", "nulls", "many batches", "a dictionary of nulls", "more than can be counted"],
)
def test_rows_that_take_no_byte_are_not_believed(body: bytes) -> None:
    """A few hundred bytes declare millions of rows: refused before a row is made."""
    assert len(body) < 3_000
    for read in (lambda: canonical_text(body, schema_of(VariableType.INTEGER)), lambda: lines_of(body)):
        with pytest.raises(RowkeepError, match=r"The Arrow stream declares \d+ rows") as refused:
            read()
        assert refused.value.code is ErrorCode.INVALID_REQUEST


def test_rows_of_a_bit_each_are_believed() -> None:
    """The most rows that so many bytes hold are booleans."""
    count, _ = canonical_text(one(pa.array([True] * 80_000)), schema_of(VariableType.BOOLEAN))
    assert count == 80_000


def test_wide_rows_of_nulls_are_written_out_in_small_slices() -> None:
    """A null takes no byte of the body and ten of text: what is made at a time is bounded in cells."""
    width = 2_000
    batch = pa.RecordBatch.from_arrays(
        [pa.nulls(500)] * width, names=[f"v{number}" for number in range(width)]
    )
    output = Counted()
    with pytest.raises(RowkeepError) as refused:
        write_lines(memoryview(batches_of(batch)), output, bytes_max=10_000_000)
    assert refused.value.code is ErrorCode.PAYLOAD_TOO_LARGE
    assert output.largest < 4_000_000


class Counted(io.BytesIO):
    """A file that knows the most that was written at a time."""

    largest = 0

    def write(self, data: Any) -> int:
        self.largest = max(self.largest, len(data))
        return super().write(data)


ALL_TYPES = stream_of(
    pa.table(
        {
            "a": pa.array([1, None, 3]),
            "b": pa.array(["x", "yy", None]).dictionary_encode(),
            "c": pa.array([None, "z" * 20, ""], pa.large_string()),
            "i": pa.array([None, "z" * 20, "y" * 12], pa.string_view()),
            "f": pa.array([1.5, None, 1e300]),
            "g": pa.array([1.5, None, 1.0], pa.float32()),
            "h": pa.array([WHEN.time()] * 3),
            "d": pa.array([WHEN] * 3),
            "e": pa.array([True, None, False]),
        }
    )
)


OF_ALL_TYPES = Schema(
    1,
    tuple(
        Variable(name, type_)
        for name, type_ in zip(
            "abcifghde",
            [
                VariableType.INTEGER,
                VariableType.STRING,
                VariableType.STRING,
                VariableType.STRING,
                VariableType.FLOAT,
                VariableType.FLOAT,
                VariableType.TIME,
                VariableType.DATE_TIME,
                VariableType.BOOLEAN,
            ],
            strict=True,
        )
    ),
)


def test_the_stream_to_be_damaged_is_whole() -> None:
    """Else damaging it shows nothing."""
    assert canonical_text(ALL_TYPES, OF_ALL_TYPES)[0] == 3


def test_every_byte_of_a_stream_may_be_wrong() -> None:
    """Whatever byte is set to what hurts most, the stream is read or refused."""
    refused = 0
    for position in range(len(ALL_TYPES)):
        for value in (0, 0x7F, 0x80, 0xFF):
            damaged = ALL_TYPES[:position] + bytes([value]) + ALL_TYPES[position + 1 :]
            refused += is_refused(damaged)
    assert refused > len(ALL_TYPES)


def is_refused(body: bytes) -> bool:
    """Whether a body is refused, by either path."""
    try:
        canonical_text(body, OF_ALL_TYPES)
        lines_of(body)
    except (StrictRefusal, RowkeepError):
        return True
    return False
