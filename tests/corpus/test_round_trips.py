"""Any table of the eight types, written by the reference library of a format, is read back equal."""

import datetime as dt
import io
import json
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import fastavro
import geopandas
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.orc
import pyarrow.parquet as pq
import pyreadstat
import pytest
import shapely
import xlsxwriter
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from rowkeep.formats.arrow import ARROW_TYPES
from rowkeep.formats.files import open_file
from rowkeep.model.files import FileOptions
from rowkeep.model.types import VariableType

EXAMPLES = 15
EXAMPLES_LONG = 400

_INTEGERS = st.integers(-(2**63), 2**63 - 1)
_DOUBLES = st.floats(allow_nan=False, allow_infinity=False)
_TEXTS = st.text(st.characters(exclude_categories=("Cs",)), max_size=20)
_PRINTABLE = st.text(
    st.characters(min_codepoint=32, max_codepoint=0x2FFF, categories=("L", "N", "P")), min_size=1, max_size=20
)
_POINTS = st.builds(lambda x, y: f"POINT ({x} {y})", st.integers(-180, 180), st.integers(-90, 90))
_CLOCK_TIMES = st.times().map(lambda time: time.replace(fold=0))
_MOMENTS = st.datetimes(allow_imaginary=True).map(lambda moment: moment.replace(fold=0))
_MILLISECONDS = st.datetimes(dt.datetime(1901, 1, 1), dt.datetime(2200, 1, 1)).map(
    lambda moment: moment.replace(microsecond=moment.microsecond // 1000 * 1000, fold=0)
)
_EXACT_INTEGERS = st.integers(-(2**53), 2**53)
# In up to 15 digits: xlsxwriter writes 16 of them.
_FRACTIONS = st.integers(-(2**26), 2**26).map(lambda number: number / 1024)

# A value that no narrower type holds, so that the type of a column does not depend on chance.
_TELLING = {
    "integer": 2**40,
    "float": 0.5,
    "boolean": True,
    "date": dt.date(2024, 1, 2),
    "dateTime": dt.datetime(2024, 1, 2, 3, 4, 5),
    "time": dt.time(10, 30),
    "geography": "POINT (1 2)",
    "string": "told",
}


class Format(NamedTuple):
    """A format, the values that it can hold, and how its reference library writes them."""

    file_name: str
    write: Callable[[Sequence[str], Sequence[tuple[Any, ...]]], bytes]
    values: dict[str, st.SearchStrategy[Any]]
    never_null: str | None = None


_ALL = {
    "integer": _INTEGERS,
    "float": _DOUBLES,
    "boolean": st.booleans(),
    "date": st.dates(),
    "dateTime": _MOMENTS,
    "time": _CLOCK_TIMES,
    "geography": _POINTS,
    "string": _TEXTS,
}


def _without(*types: str, **other: st.SearchStrategy[Any]) -> dict[str, st.SearchStrategy[Any]]:
    return {type_: other.get(type_, values) for type_, values in _ALL.items() if type_ not in types}


def _arrow(types: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> pa.Table:
    columns = zip(*rows, strict=True)
    arrays = [
        pa.array(column, type=ARROW_TYPES[VariableType(type_)])
        for type_, column in zip(types, columns, strict=True)
    ]
    return pa.table(arrays, names=list(types))


def _csv(types: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> bytes:
    sink = io.BytesIO()
    pyarrow.csv.write_csv(_arrow(types, rows), sink)
    return sink.getvalue()


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, dt.date | dt.time) else value


def _objects(types: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> list[dict[str, Any]]:
    return [dict(zip(types, map(_plain, row), strict=True)) for row in rows]


def _ndjson(types: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> bytes:
    return "\n".join(json.dumps(row) for row in _objects(types, rows)).encode()


def _json(types: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> bytes:
    return json.dumps(_objects(types, rows), ensure_ascii=False, indent=1).encode()


def _parquet(types: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> bytes:
    sink = io.BytesIO()
    pq.write_table(_arrow(types, rows), sink)
    return sink.getvalue()


def _orc(types: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> bytes:
    sink = io.BytesIO()
    pyarrow.orc.write_table(_arrow(types, rows), sink)
    return sink.getvalue()


_AVRO_TYPES: dict[str, Any] = {
    "integer": "long",
    "float": "double",
    "boolean": "boolean",
    "date": {"type": "int", "logicalType": "date"},
    "dateTime": {"type": "long", "logicalType": "local-timestamp-micros"},
    "time": {"type": "long", "logicalType": "time-micros"},
    "string": "string",
}


def _avro(types: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> bytes:
    sink = io.BytesIO()
    fields = [{"name": type_, "type": ["null", _AVRO_TYPES[type_]]} for type_ in types]
    schema = {"type": "record", "name": "row", "fields": fields}
    fastavro.writer(sink, schema, [dict(zip(types, row, strict=True)) for row in rows], codec="deflate")
    return sink.getvalue()


def _xlsx(types: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> bytes:
    sink = io.BytesIO()
    with xlsxwriter.Workbook(sink, {"in_memory": True}) as workbook:
        formats = {
            "date": workbook.add_format({"num_format": "yyyy-mm-dd"}),
            "dateTime": workbook.add_format({"num_format": "yyyy-mm-dd hh:mm:ss.000"}),
            "time": workbook.add_format({"num_format": "hh:mm:ss.000"}),
        }
        sheet = workbook.add_worksheet()
        sheet.write_row(0, 0, types)
        for number, row in enumerate(rows, 1):
            for column, (type_, value) in enumerate(zip(types, row, strict=True)):
                if type_ in formats and value is not None:
                    sheet.write_datetime(number, column, value, formats[type_])
                elif isinstance(value, str):
                    sheet.write_string(number, column, value)
                else:
                    sheet.write(number, column, value)
    return sink.getvalue()


def _statistical(ending: str, write: Callable[..., None]) -> Callable[..., bytes]:
    def content(types: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> bytes:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"a.{ending}"
            # A type's name may be a reserved word of Stata's.
            frame = pd.DataFrame(rows, columns=[f"v_{type_}" for type_ in types], dtype=object)
            frame["v_integer"] = frame["v_integer"].astype("Int64")
            frame["v_float"] = frame["v_float"].astype("Float64")
            write(frame, path)
            return path.read_bytes()

    return content


def _geojson(types: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.geojson"
        frame = pd.DataFrame(rows, columns=list(types))
        frame["integer"] = frame["integer"].astype("Int64")
        geometry = [shapely.from_wkt(row) if isinstance(row, str) else None for row in frame.pop("geography")]
        geopandas.GeoDataFrame(frame, geometry=geometry, crs=4326).to_file(path, driver="GeoJSON")
        return path.read_bytes()


_DATES = st.dates(dt.date(1901, 1, 1), dt.date(2200, 1, 1))
_TIMES = _CLOCK_TIMES.map(lambda time: time.replace(microsecond=0))
_NANOSECOND_RANGE = st.datetimes(dt.datetime(1700, 1, 1), dt.datetime(2200, 1, 1)).map(
    lambda moment: moment.replace(fold=0)
)
_OFFICE = {
    "integer": _EXACT_INTEGERS,
    "float": _FRACTIONS,
    "boolean": st.booleans(),
    "date": _DATES,
    "dateTime": _MILLISECONDS,
    "time": _TIMES,
    "geography": _POINTS,
    "string": _PRINTABLE,
}

# What writes these has fractions of a second off by a microsecond.
_STATISTICAL = {**_OFFICE, "dateTime": _MILLISECONDS.map(lambda moment: moment.replace(microsecond=0))}

FORMATS = {
    "csv": Format("a.csv", _csv, _ALL),
    "ndjson": Format("a.ndjson", _ndjson, _ALL),
    "json": Format("a.json", _json, _ALL),
    "parquet": Format("a.parquet", _parquet, _without("geography")),
    "orc": Format("a.orc", _orc, _without("geography", "time", dateTime=_NANOSECOND_RANGE)),
    "avro": Format("a.avro", _avro, _without("geography")),
    "xlsx": Format("a.xlsx", _xlsx, _OFFICE, "integer"),  # a row without a cell is no row
    "dta": Format(
        "a.dta",
        _statistical("dta", pyreadstat.write_dta),
        {type_: _STATISTICAL[type_] for type_ in ("integer", "float", "date", "dateTime", "string")},
        "string",
    ),
    "sav": Format(
        "a.sav",
        _statistical("sav", pyreadstat.write_sav),
        {type_: _STATISTICAL[type_] for type_ in ("integer", "float", "date", "dateTime", "time", "string")},
        "string",
    ),
    "geojson": Format(
        "a.geojson",
        _geojson,
        {type_: _OFFICE[type_] for type_ in ("integer", "float", "string", "geography")},
    ),
}


def _comes_back(form: Format, data: st.DataObject, folder: Path) -> None:
    types = list(form.values)
    row = st.tuples(
        *(
            values if type_ == form.never_null else st.one_of(st.none(), values)
            for type_, values in form.values.items()
        )
    )
    rows = [tuple(_TELLING[type_] for type_ in types), *data.draw(st.lists(row, max_size=8))]
    path = folder / "file"
    path.write_bytes(form.write(types, rows))
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        table = open_file(path, FileOptions(file_name=form.file_name), Path(scratch))
        found = [tuple(row.values()) for batch in table.batches() for row in batch.to_pylist()]
    assert [variable.type.value for variable in table.variables] == types
    assert repr(found) == repr(rows)


@pytest.mark.parametrize("form", FORMATS.values(), ids=FORMATS)
def test_a_table_comes_back(form: Format, tmp_path: Path) -> None:
    """What a reference library writes is read with the types and values that it was given."""

    @settings(max_examples=EXAMPLES, deadline=None, phases=[Phase.generate])
    @given(st.data())
    def comes_back(data: st.DataObject) -> None:
        _comes_back(form, data, tmp_path)

    comes_back()


@pytest.mark.long
@pytest.mark.parametrize("form", FORMATS.values(), ids=FORMATS)
def test_many_tables_come_back(form: Format, tmp_path: Path) -> None:
    """The same with many tables (`scripts/test --long tests/corpus/test_round_trips.py`)."""

    @settings(max_examples=EXAMPLES_LONG, deadline=None)
    @given(st.data())
    def comes_back(data: st.DataObject) -> None:
        _comes_back(form, data, tmp_path)

    comes_back()
