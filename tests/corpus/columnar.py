"""Parquet, ORC and Avro: what becomes of each type, and files that lie."""

import datetime as dt
import io
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import fastavro
import pyarrow as pa
import pyarrow.orc
import pyarrow.parquet as pq

from rowkeep.model.types import VariableType
from tests.corpus.case import Case, Refused, Row, Table

_DAY, _NOON = dt.date(2024, 1, 2), dt.datetime(2024, 1, 2, 12)
_UTC = dt.UTC


def _parquet(table: pa.Table, **options: Any) -> Callable[[], bytes]:
    def content() -> bytes:
        sink = io.BytesIO()
        pq.write_table(table, sink, **options)
        return sink.getvalue()

    return content


def _array(name: str, array: pa.Array, type_: str, values: list[Any], warning: str | None = None) -> Case:
    """A Parquet file of one column."""
    rows: list[Row] = [(value,) for value in values]
    return Case(
        f"parquet-{name}/a.parquet",
        _parquet(pa.table({"v": array})),
        Table({"v": type_}, rows, warning=warning),
    )


def _numbers(values: list[int | None], type_: pa.DataType) -> pa.Array:
    return (
        pa.array(values, pa.int64()).cast(pa.int32()).view(type_)
        if type_.bit_width == 32
        else pa.array(values, pa.int64()).view(type_)
    )


def _orc(table: pa.Table) -> Callable[[], bytes]:
    def content() -> bytes:
        sink = io.BytesIO()
        pyarrow.orc.write_table(table, sink)
        return sink.getvalue()

    return content


def _avro(fields: list[Any], rows: list[dict[str, Any]], codec: str = "null") -> Callable[[], bytes]:
    def content() -> bytes:
        sink = io.BytesIO()
        schema = {
            "type": "record",
            "name": "row",
            "fields": [{"name": name, "type": type_} for name, type_ in fields],
        }
        fastavro.writer(sink, schema, rows, codec=codec)
        return sink.getvalue()

    return content


def _avro_case(
    name: str, type_: Any, value: Any, expected: str, found: Any, warning: str | None = None
) -> Case:
    return Case(
        f"avro-{name}/a.avro",
        _avro([("v", type_)], [{"v": value}]),
        Table({"v": expected}, [(found,)], warning=warning),
    )


def _cut(content: Callable[[], bytes], end: int) -> Callable[[], bytes]:
    return lambda: content()[:end]


def _changed(content: Callable[[], bytes], place: int, to: bytes) -> Callable[[], bytes]:
    def change() -> bytes:
        data = bytearray(content())
        data[place : place + len(to)] = to
        return bytes(data)

    return change


_PLAIN = _parquet(pa.table({"v": pa.array(range(1_000))}))
_WIDE = pa.table({f"c{number}": pa.array([1]) for number in range(10_001)})
_AVRO_PLAIN = _avro([("v", "long")], [{"v": number} for number in range(1_000)])

PARQUET = [
    _array("uint64", pa.array([1, 2**63 - 1], pa.uint64()), "integer", [1, 2**63 - 1]),
    _array("uint64-beyond", pa.array([1, 2**64 - 1], pa.uint64()), "string", ["1", "18446744073709551615"]),
    _array("int8", pa.array([-128, None], pa.int8()), "integer", [-128, None]),
    _array("float32", pa.array([0.5, None], pa.float32()), "float", [0.5, None]),
    _array("float16", pa.array([0.5], pa.float16()), "float", [0.5]),
    _array("floats-special", pa.array([float("inf"), -0.0]), "float", [float("inf"), -0.0]),
    _array("boolean", pa.array([True, None]), "boolean", [True, None]),
    _array("decimal-money", pa.array([Decimal("12.30"), None], pa.decimal128(10, 2)), "float", [12.3, None]),
    _array("decimal-whole", pa.array([Decimal(5)], pa.decimal128(10, 0)), "integer", [5]),
    _array(
        "decimal-long",
        pa.array([Decimal("1.2345678901234567890123")], pa.decimal128(38, 22)),
        "string",
        ["1.2345678901234567890123"],
    ),
    _array("decimal-tiny", pa.array([Decimal("0.0000000001")], pa.decimal128(38, 10)), "float", [1e-10]),
    _array(
        "decimal-whole-beyond", pa.array([Decimal(10**30)], pa.decimal128(38, 0)), "string", [str(10**30)]
    ),
    _array("date", pa.array([_DAY, None]), "date", [_DAY, None]),
    _array("date64", pa.array([_DAY], pa.date64()), "date", [_DAY]),
    _array("date-year-10000", _numbers([2_932_897], pa.date32()), "string", ["10000-01-01"]),
    _array("timestamp-us", pa.array([_NOON], pa.timestamp("us")), "dateTime", [_NOON]),
    _array("timestamp-ms", pa.array([_NOON], pa.timestamp("ms")), "dateTime", [_NOON]),
    _array("timestamp-ns-whole", pa.array([_NOON], pa.timestamp("ns")), "dateTime", [_NOON]),
    _array("timestamp-ns", _numbers([1], pa.timestamp("ns")), "string", ["1970-01-01 00:00:00.000000001"]),
    _array(
        "timestamp-zone",
        pa.array([_NOON.replace(tzinfo=_UTC)], pa.timestamp("us", "Europe/Berlin")),
        "dateTime",
        [_NOON],
        "UTC",
    ),
    _array(
        "timestamp-year-10000",
        _numbers([253_402_300_800_000_000], pa.timestamp("us")),
        "string",
        ["10000-01-01 00:00:00.000000"],
    ),
    _array("time", pa.array([dt.time(1, 2, 3, 4)]), "time", [dt.time(1, 2, 3, 4)]),
    _array("time-ms", pa.array([dt.time(1, 2, 3)], pa.time32("ms")), "time", [dt.time(1, 2, 3)]),
    _array("time-ns", _numbers([1], pa.time64("ns")), "string", ["00:00:00.000000001"]),
    _array("duration", pa.array([dt.timedelta(seconds=1)]), "integer", [1_000_000], "durations"),
    _array(
        "text-stays-text",
        pa.array(["2024-01-02", "007", None, ""]),
        "string",
        ["2024-01-02", "007", None, ""],
    ),
    _array("large-text", pa.array(["x"], pa.large_string()), "string", ["x"]),
    _array("dictionary", pa.array(["x", None, "x"]).dictionary_encode(), "string", ["x", None, "x"]),
    _array("dictionary-of-integers", pa.array([5, None]).dictionary_encode(), "integer", [5, None]),
    _array("binary-utf-8", pa.array(["é".encode()], pa.binary()), "string", ["é"]),
    _array("binary", pa.array([b"\xff\x00"], pa.binary()), "string", ["/wA="]),
    _array("null", pa.nulls(2), "string", [None, None]),
    _array("list", pa.array([[1, 2], None]), "string", ["[1,2]", None], "JSON text"),
    _array("struct", pa.array([{"x": 1, "y": None}]), "string", ['{"x":1,"y":null}'], "JSON text"),
    _array(
        "map", pa.array([[("k", 1)]], pa.map_(pa.string(), pa.int64())), "string", ['[["k",1]]'], "JSON text"
    ),
    _array("uuid", pa.array([b"\x01" * 16], pa.uuid()), "string", ["01010101-0101-0101-0101-010101010101"]),
    Case(
        "parquet-int96/a.parquet",
        _parquet(
            pa.table({"v": pa.array([_NOON], pa.timestamp("ns"))}), use_deprecated_int96_timestamps=True
        ),
        Table({"v": "dateTime"}, [(_NOON,)]),
    ),
    Case(
        "parquet-int96-year-1/a.parquet",
        _parquet(
            pa.table({"v": pa.array([dt.datetime.min], pa.timestamp("us"))}),
            use_deprecated_int96_timestamps=True,
        ),
        Table({"v": "dateTime"}, [(dt.datetime.min,)]),
    ),
    Case(
        "parquet-names/a.parquet",
        _parquet(pa.table([pa.array([1])] * 4, names=["a", "A", "a", "b.c"])),
        Table(dict.fromkeys(["a", "A_1", "a_2", "b_c"], "integer"), [(1, 1, 1, 1)], labels={"b_c": "b.c"}),
    ),
    Case(
        "parquet-names-beside-records/a.parquet",
        _parquet(
            pa.table([pa.array([{"x": 1, "y": 2}]), pa.array([5]), pa.array([6])], names=["a", "a", "x"])
        ),
        Table({"a": "string", "a_1": "integer", "x": "integer"}, [('{"x":1,"y":2}', 5, 6)]),
    ),
    Case(
        "parquet-no-rows/a.parquet",
        _parquet(pa.table({"a": pa.array([], pa.date32()), "b": pa.array([], pa.string())})),
        Table({"a": "date", "b": "string"}, []),
    ),
    Case(
        "parquet-all-null/a.parquet",
        _parquet(pa.table({"a": pa.nulls(2, pa.int64()), "b": pa.nulls(2, pa.date32())})),
        Table({"a": "integer", "b": "date"}, [(None, None)] * 2),
    ),
    Case("parquet-no-columns/a.parquet", _parquet(pa.table({})), Refused("no column")),
    Case("parquet-many-columns/a.parquet", _parquet(_WIDE), Refused("10001 columns")),
    Case(
        "parquet-given-type/a.parquet",
        _parquet(pa.table({"v": ["2024-01-02", None]})),
        Table({"v": "date"}, [(_DAY,), (None,)]),
        {"types": {"v": VariableType.DATE}},
    ),
    Case(
        "parquet-given-type-misfit/a.parquet",
        _parquet(pa.table({"v": ["1", "x"]})),
        Refused("Row 2, column 'v'", [2]),
        {"types": {"v": VariableType.INTEGER}},
    ),
    Case(
        "parquet-given-type-skipped/a.parquet",
        _parquet(pa.table({"v": ["1", "x", "3"]})),
        Table({"v": "integer"}, [(1,), (3,)], bad=1),
        {"types": {"v": VariableType.INTEGER}, "skip_bad_records": True},
    ),
    Case(
        "parquet-given-string/a.parquet",
        _parquet(pa.table({"v": [1, 2]})),
        Table({"v": "string"}, [("1",), ("2",)]),
        {"types": {"v": VariableType.STRING}},
    ),
    Case("parquet-by-content/file", _PLAIN, Table({"v": "integer"}, 1_000)),
    Case("parquet-truncated/a.parquet", _cut(_PLAIN, 2_000), Refused("ends before its footer")),
    Case("parquet-text/a.parquet", b"a,b\n1,2\n", Refused("Give its `type`")),
    Case("parquet-empty/a.parquet", b"", Refused("Give its `type`")),
    Case("parquet-magic-alone/a.parquet", b"PAR1PAR1", Refused("cannot be read as parquet")),
    Case("parquet-encrypted/a.parquet", b"PARE" + bytes(100) + b"PARE", Refused("encrypted")),
    Case(
        "parquet-corrupt-page/a.parquet",
        _changed(_PLAIN, 100, b"\xff" * 64),
        Refused("cannot be read as parquet"),
    ),
    Case(
        "parquet-corrupt-footer/a.parquet",
        _changed(_PLAIN, -60, b"\xff" * 20),
        Refused("cannot be read as parquet"),
    ),
    Case(
        "parquet-footer-length-lies/a.parquet",
        _changed(_PLAIN, -8, b"\xff\xff\xff\x7f"),
        Refused("cannot be read as parquet"),
    ),
    Case(
        "parquet-checksum/a.parquet",
        _changed(
            _parquet(
                pa.table({"v": pa.array(range(1_000))}),
                write_page_checksum=True,
                compression="none",
                use_dictionary=False,
            ),
            300,
            b"\x07",
        ),
        Refused("cannot be read as parquet"),
    ),
    Case(
        "parquet-invalid-text/a.parquet",
        _parquet(pa.table({"v": pa.array([b"\xff"], pa.binary()).view(pa.string())})),
        Refused("cannot be read as parquet"),
    ),
]

ORC = [
    Case(
        "orc-plain/a.orc",
        _orc(pa.table({"v": [1, None], "s": ["x", ""]})),
        Table({"v": "integer", "s": "string"}, [(1, "x"), (None, "")]),
    ),
    Case(
        "orc-old-dates/a.orc",
        _orc(
            pa.table(
                {"d": [dt.date(1500, 1, 1)], "t": pa.array([dt.datetime(1850, 1, 1, 12)], pa.timestamp("ns"))}
            )
        ),
        Table({"d": "date", "t": "dateTime"}, [(dt.date(1500, 1, 1), dt.datetime(1850, 1, 1, 12))]),
    ),
    Case(
        "orc-decimal/a.orc",
        _orc(pa.table({"v": pa.array([Decimal("1.10")], pa.decimal128(10, 2))})),
        Table({"v": "float"}, [(1.1,)]),
    ),
    Case(
        "orc-nested/a.orc",
        _orc(pa.table({"v": [[1, 2]], "w": [5]})),
        Table({"v": "string", "w": "integer"}, [("[1,2]", 5)]),
    ),
    Case(
        "orc-truncated/a.orc",
        _cut(_orc(pa.table({"v": list(range(1000))})), 100),
        Refused("cannot be read as orc"),
    ),
    Case("orc-text/a.orc", b"a,b\n1,2\n" * 100, Refused("cannot be read as orc")),
]

AVRO = [
    _avro_case("integer", ["null", "long"], 5, "integer", 5),
    _avro_case("null", ["null", "long"], None, "integer", None),
    _avro_case("float", "float", 0.5, "float", 0.5),
    _avro_case("boolean", "boolean", True, "boolean", True),
    _avro_case("date", {"type": "int", "logicalType": "date"}, _DAY, "date", _DAY),
    _avro_case(
        "time",
        {"type": "long", "logicalType": "time-micros"},
        dt.time(1, 2, 3, 4),
        "time",
        dt.time(1, 2, 3, 4),
    ),
    _avro_case(
        "timestamp",
        {"type": "long", "logicalType": "timestamp-micros"},
        _NOON.replace(tzinfo=_UTC),
        "dateTime",
        _NOON,
        "UTC",
    ),
    _avro_case(
        "local-timestamp", {"type": "long", "logicalType": "local-timestamp-micros"}, _NOON, "dateTime", _NOON
    ),
    _avro_case(
        "decimal",
        {"type": "bytes", "logicalType": "decimal", "precision": 10, "scale": 2},
        Decimal("1.50"),
        "float",
        1.5,
    ),
    _avro_case("enum", {"type": "enum", "name": "e", "symbols": ["A", "B"]}, "B", "string", "B"),
    _avro_case("bytes", "bytes", b"\xff", "string", "/w=="),
    _avro_case("array", {"type": "array", "items": "int"}, [1, 2], "string", "[1,2]"),
    _avro_case("union", ["null", "int", "string"], "x", "string", "x"),
    _avro_case(
        "record",
        {"type": "record", "name": "r", "fields": [{"name": "x", "type": "int"}]},
        {"x": 1},
        "string",
        '{"x":1}',
    ),
    Case(
        "avro-deflate/a.avro",
        _avro([("v", "long")], [{"v": 1}] * 100, "deflate"),
        Table({"v": "integer"}, 100),
    ),
    Case("avro-no-rows/a.avro", _avro([("v", "long")], []), Table({"v": "integer"}, [])),
    Case("avro-no-record/a.avro", _changed(_AVRO_PLAIN, 0, b"Obj\x01"), Table({"v": "integer"}, 1_000)),
    Case("avro-truncated/a.avro", _cut(_AVRO_PLAIN, 500), Refused("cannot be read as avro")),
    Case("avro-text/a.avro", b"a,b\n1,2\n" * 20, Refused("cannot be read as avro")),
    Case("avro-empty/a.avro", b"", Refused("cannot be read as avro")),
    Case(
        "avro-length-lies/a.avro",
        b"Obj\x01\x02\x16avro.schema\xfe\xff\xff\xff\xff\xff\xff\xff\x7f" + bytes(50),
        Refused("cannot be read as avro"),
    ),
]

CASES = [*PARQUET, *ORC, *AVRO]
