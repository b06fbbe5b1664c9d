"""CSV and `rowkeep insert`: what stands in a file is what stands in the table, or it is refused by its
place."""

import csv
import io
import itertools
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas
import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rowkeep.commands.insert import EXIT_ROWS_LEFT_OUT, EXIT_ROWS_REFUSED, insert_command
from tests.api.stream import ALL_TYPES, Stream
from tests.server_process import ServerProcess

names = itertools.count(1)


class CsvTable:
    """A stream and the command, run in this process."""

    def __init__(self, server: ServerProcess, schema: list[dict[str, str]]) -> None:
        self.stream = Stream(server.url, server.token, schema, server.user)
        self._server = server

    def insert(self, file: Path, *options: str) -> tuple[int, str]:
        """Inserts a file; the exit status and all that was printed."""
        table = self.stream.table_uri.removeprefix("/tables/")
        place = ["--url", self._server.url, "--token", self._server.token]
        done = CliRunner().invoke(insert_command, [*place, *options, table, "s", str(file)])
        return done.exit_code, done.output

    def csv(self, **options: str) -> bytes:
        """The table as the server writes it."""
        given = {"format": "csv", **options}
        answer = self.stream.client.get(f"{self.stream.table_uri}/rows", params=given)
        assert answer.status_code == 200, answer.text
        return answer.content


@pytest.fixture
def make(server: ServerProcess) -> Iterator[Any]:
    """Makes tables by their schema."""
    made: list[CsvTable] = []

    def table(*variables: str) -> CsvTable:
        schema = [dict(zip(("name", "type"), variable.split(":"), strict=True)) for variable in variables]
        made.append(CsvTable(server, schema))
        return made[-1]

    yield table
    for one in made:
        one.stream.close()


def write(folder: Path, text: str | bytes) -> Path:
    """A file of its own."""
    file = folder / f"rows-{next(names)}.csv"
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    return file


STRING_PLACE = [variable["type"] for variable in ALL_TYPES].index("string")
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8) | st.sampled_from(
    ["", '"', '""', "\r", "\n", "\r\n", ",", "NA", " ", "a,b", "\u2028", "\ufeff", "null"]
)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
VALUES: dict[str, st.SearchStrategy[object]] = {
    "string": TEXTS,
    "integer": st.integers(-(2**63), 2**63 - 1),
    "float": FLOATS | st.integers(0, 2**53).map(float) | st.sampled_from([1e16, 1e22, 2.0**60, 5e-324, -0.0]),
    "boolean": st.booleans(),
    "date": st.dates().map(str),
    "dateTime": st.datetimes().map(lambda moment: moment.isoformat()),
    "time": st.times().map(lambda time: time.isoformat()),
    "geography": st.sampled_from(
        ["POINT(8.5 47.4)", "POLYGON((0 0, 1 0, 1 1, 0 0))", "LINESTRING(0 0,\n1 1)"]
    ),
}


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], database=None
)
@given(
    rows=st.lists(
        st.fixed_dictionaries(
            {variable["name"]: st.none() | VALUES[variable["type"]] for variable in ALL_TYPES}
        ),
        min_size=1,
        max_size=12,
    ),
    chosen=st.none() | st.integers(0, len(ALL_TYPES) - 1) | st.just(STRING_PLACE),
    bom=st.booleans(),
    marker=st.sampled_from(["", "", "NA", "null", "\\N", "-", " ", "é", "a;b"]),
    delimiter=st.sampled_from([(), ("--delimiter", ",")]),
)
def test_what_the_server_writes_is_read_back(
    server: ServerProcess,
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[dict[str, Any]],
    chosen: int | None,
    bom: bool,
    marker: str,
    delimiter: tuple[str, ...],
) -> None:
    """rows → CSV → rows is the identity: for all types, for tables of one variable, however it is written."""
    schema = ALL_TYPES if chosen is None else [ALL_TYPES[chosen]]
    kept = [{variable["name"]: row[variable["name"]] for variable in schema} for row in rows]
    first, second = CsvTable(server, schema), CsvTable(server, schema)
    assert first.stream.insert({"rows": kept}).status_code == 201
    asked = {"nullMarker": marker, "bom": "true"} if bom else {"nullMarker": marker} if marker else {}
    written = first.csv(**asked)
    file = write(tmp_path_factory.mktemp("csv"), written)
    status, said = second.insert(file, *(("--null", marker) if marker else ()), *delimiter)
    assert (status, said.split(" rows")[0]) == (0, str(len(rows)))
    before, after = first.stream.rows(), second.stream.rows()
    assert json.dumps(before) == json.dumps(after)
    assert second.csv(**asked) == written
    assert written.startswith(b"\xef\xbb\xbf") == bom
    assert len(list(csv.DictReader(io.StringIO(written.decode("utf-8-sig"), newline="")))) == len(rows)
    first.stream.close()
    second.stream.close()


@pytest.mark.parametrize("variable", ALL_TYPES, ids=lambda variable: variable["type"])
def test_readers_see_every_record_of_one_variable(make: Any, variable: dict[str, str]) -> None:
    """A null alone in its record is a record to Python's csv and to pandas, and missing to both."""
    fitting = {"string": "x", "integer": 1, "float": 1.5, "boolean": True, "date": "2026-01-31"}
    fitting |= {"dateTime": "2026-01-31T12:00:00", "time": "12:00:00", "geography": "POINT(1 2)"}
    table = make(f"v:{variable['type']}")
    value = fitting[variable["type"]]
    table.stream.insert({"rows": [{"v": None}, {"v": value}, {}, {"v": value}, {}]})
    written = table.csv()
    read = [row["v"] for row in csv.DictReader(io.StringIO(written.decode(), newline=""))]
    assert [not text for text in read] == [True, False, True, False, True]
    assert pandas.read_csv(io.BytesIO(written))["v"].isna().tolist() == [True, False, True, False, True]


LOSSLESS = [
    ("integer", "1.0", 1),
    ("integer", "3.000", 3),
    ("integer", "1e3", 1000),
    ("integer", " 7 ", 7),
    ("integer", "9223372036854775807", 2**63 - 1),
    ("float", "1e-7", 1e-7),
    ("float", ".5", 0.5),
    ("float", "9007199254740992", 2.0**53),
    ("boolean", "TRUE", True),
    ("boolean", "False", False),
    ("boolean", "1", True),
    ("boolean", "0", False),
    ("time", "12:00", "12:00:00"),
    ("dateTime", "2026-01-31 12:00", "2026-01-31 12:00:00"),
    ("dateTime", "2026-01-31T12:00", "2026-01-31 12:00:00"),
    ("date", "2026-01-31", "2026-01-31"),
]


def test_what_loses_nothing_is_taken(make: Any, tmp_path: Path) -> None:
    """Each spelling is the value that it means."""
    table = make(*(f"v{number}:{type_}" for number, (type_, _, _) in enumerate(LOSSLESS)))
    header = ",".join(f"v{number}" for number in range(len(LOSSLESS)))
    file = write(tmp_path, f"{header}\n{','.join(text for _, text, _ in LOSSLESS)}\n")
    assert table.insert(file)[0] == 0
    assert list(table.stream.rows()[0].values()) == [value for _, _, value in LOSSLESS]


LOSSY = [
    ("float", "101E010031"),
    ("float", "-1e400"),
    ("float", "1e-400"),
    ("float", "9007199254740993"),
    ("float", "1" * 400),
    ("float", "NaN"),
    ("float", "Infinity"),
    ("float", "1,5"),
    ("integer", "1.5"),
    ("integer", "9223372036854775808"),
    ("integer", "1e30"),
    ("integer", "1e999999999"),
    ("integer", "9" * 5_000),
    ("integer", "0x10"),
    ("boolean", "yes"),
    ("boolean", "2"),
    ("date", "31.01.2026"),
    ("time", "25:00"),
    ("dateTime", "2026-01-31 25:00"),
]


@pytest.mark.parametrize(("type_", "text"), LOSSY)
def test_what_would_lose_something_is_refused(make: Any, tmp_path: Path, type_: str, text: str) -> None:
    """Its line, variable and value are named, and nothing is inserted; quarantined, the rest goes in."""
    table = make("n:integer", f"v:{type_}")
    field = f'"{text}"' if "," in text else text
    file = write(tmp_path, f"n,v\n1,\n2,{field}\n3,\n")
    status, said = table.insert(file)
    assert status == EXIT_ROWS_REFUSED
    assert 'line 3: variable "v" takes a' in said
    assert text[:30] in said
    assert table.stream.row_count() == 0
    assert table.insert(file, "--on-error", "quarantine")[0] == EXIT_ROWS_LEFT_OUT
    assert [row["n"] for row in table.stream.rows()] == [1, 3]


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("is_ended", [True, False])
def test_line_ends(make: Any, tmp_path: Path, ending: str, is_ended: bool) -> None:
    """Lines end in LF, CRLF or CR, the last one or not; lines in quotes are counted."""
    table = make("site:string", "n:integer")
    text = ending.join(["site,n", f'"a{ending}b",1', "B,2", "C,3"]) + ending * is_ended
    assert table.insert(write(tmp_path, text))[0] == 0
    assert [tuple(row.values()) for row in table.stream.rows()] == [(f"a{ending}b", 1), ("B", 2), ("C", 3)]
    status, said = table.insert(write(tmp_path, text + ending * (not is_ended) + "D,x" + ending))
    assert status == EXIT_ROWS_REFUSED
    assert "line 6: " in said


@pytest.mark.parametrize("delimiter", [";", "\t", "|", ","])
def test_separators_are_found_in_the_header(make: Any, tmp_path: Path, delimiter: str) -> None:
    """Also where the names stand in quotes and the rows hold others."""
    table = make("id:integer", "t:string", "s:string")
    header, row = delimiter.join(['"id"', "t", '"s"']), delimiter.join(["1", '"a,b;c|d\te"', "z"])
    assert table.insert(write(tmp_path, f"{header}\n{row}\n"))[0] == 0
    assert table.stream.rows() == [{"id": 1, "t": "a,b;c|d\te", "s": "z"}]


def test_the_separator_can_be_said(make: Any, tmp_path: Path) -> None:
    """Any one character; a wrong one is hinted at."""
    table = make("id:integer", "t:string")
    file = write(tmp_path, "id:t\n1:a\n")
    assert table.insert(file, "--delimiter", ":")[0] == 0
    status, said = table.insert(write(tmp_path, "id;t\n1;a\n"), "--delimiter", ",")
    assert (status, "--delimiter ';'" in said) == (EXIT_ROWS_REFUSED, True)
    assert table.stream.rows() == [{"id": 1, "t": "a"}]
    assert table.insert(file, "--delimiter", "::")[0] == 2


def test_null_markers(make: Any, tmp_path: Path) -> None:
    """As R writes them: NA is null, "NA" is a text; several may be given."""
    table = make("n:integer", "x:float", "t:string")
    file = write(tmp_path, '"n","x","t"\n1,NA,"NA"\nNA,1.5,NA\n-9,"-9",-9\n')
    assert table.insert(file, "--null", "NA", "--null", "-9")[0] == 0
    assert [tuple(row.values()) for row in table.stream.rows()] == [
        (1, None, "NA"),
        (None, 1.5, None),
        (None, None, None),
    ]
    file = write(tmp_path, "n\nNA\n")
    status, said = table.insert(file)
    assert (status, "--null NA" in said) == (EXIT_ROWS_REFUSED, True)
    assert table.insert(file, "--null", "NA")[0] == 0


def test_a_quoted_empty_field_is_the_empty_text(make: Any, tmp_path: Path) -> None:
    """Of a string; what has no empty text is null either way."""
    table = make("t:string", "n:integer")
    assert table.insert(write(tmp_path, 't,n\n"",""\n,1\n'))[0] == 0
    assert [tuple(row.values()) for row in table.stream.rows()] == [("", None), (None, 1)]


@pytest.mark.parametrize("header", ["t", '"t"', '\ufeff"t"'])
@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_the_empty_fields_of_one_column(make: Any, tmp_path: Path, header: str, ending: str) -> None:
    """Whoever wrote the file: in quotes the empty text, without them null, and no record is lost."""
    lines = [header, '""', "x", "", '"y"', ""]
    file = write(tmp_path, "".join(f"{line}{ending}" for line in lines))
    table = make("t:string")
    assert table.insert(file)[0] == 0
    assert [row["t"] for row in table.stream.rows()] == ["", "x", None, "y", None]
    numbers = make("t:integer")
    file.write_text(file.read_text().replace("x", "1").replace("y", "2"))
    assert numbers.insert(file, "--restart")[0] == 0
    assert [row["t"] for row in numbers.stream.rows()] == [None, 1, None, 2, None]


@pytest.mark.parametrize("bom", ["false", "true"])
def test_null_and_empty_text_of_one_column_differ(make: Any, tmp_path: Path, bom: str) -> None:
    """However the server writes them, and Python's csv and pandas see as many records."""
    table, again = make("t:string"), make("t:string")
    table.stream.insert({"rows": [{"t": None}, {"t": ""}, {"t": '"'}, {"t": ""}, {"t": None}]})
    written = table.csv(bom=bom)
    assert again.insert(write(tmp_path, written))[0] == 0
    assert [row["t"] for row in again.stream.rows()] == [None, "", '"', "", None]
    assert len(list(csv.DictReader(io.StringIO(written.decode("utf-8-sig"), newline="")))) == 5
    assert len(pandas.read_csv(io.BytesIO(written))) == 5


def test_a_large_cell(make: Any, tmp_path: Path) -> None:
    """As large as the server takes."""
    table = make("t:string", "n:integer")
    long = 'line "one"\n' * 400_000
    file = write(tmp_path, "t,n\n" + "x" * 200_000 + ',1\n"' + long.replace('"', '""') + '",2\n')
    assert table.insert(file)[0] == 0
    assert [len(row["t"]) for row in table.stream.rows()] == [200_000, len(long)]


@pytest.mark.parametrize(
    "broken",
    ['2,"bad', '2,"bad"x', '2,"a""b"c"', '"2,bad', '2,"bad\\"x"'],
    ids="abcde",
)
@pytest.mark.parametrize("field", ["plain", '"quoted"', '"two\nlines"'])
def test_a_malformed_quote_costs_its_record(make: Any, tmp_path: Path, broken: str, field: str) -> None:
    """All other records go in, however the next ones look; without leave the run stops and names the line."""
    table = make("n:integer", "t:string")
    rows = [f"{number},{field}" for number in range(3, 30)]
    file = write(tmp_path, "\n".join(["n,t", "1,a", broken, *rows]) + "\n")
    status, said = table.insert(file)
    assert (status, "line 3: field " in said) == (EXIT_ROWS_REFUSED, True)
    status, said = table.insert(file, "--on-error", "skip")
    assert (status, "1 refused" in said) == (EXIT_ROWS_LEFT_OUT, True)
    assert [row["n"] for row in table.stream.rows()] == [1, *range(3, 30)]


def test_a_quote_within_a_bare_field_is_text(make: Any, tmp_path: Path) -> None:
    """An inch is no quote."""
    table = make("n:integer", "t:string")
    assert table.insert(write(tmp_path, 'n,t\n1,5" pipe\n2,6"\n'))[0] == 0
    assert [row["t"] for row in table.stream.rows()] == ['5" pipe', '6"']


def test_what_is_not_utf8_costs_its_record(make: Any, tmp_path: Path) -> None:
    """The line, the variable and how to convert the file are said."""
    table = make("n:integer", "t:string")
    file = write(tmp_path, b"n,t\n1,a\n2,Z\xfcrich\n3,b\n")
    status, said = table.insert(file)
    assert status == EXIT_ROWS_REFUSED
    assert 'line 3: variable "t" is not UTF-8' in said
    assert "iconv" in said
    assert table.insert(file, "--on-error", "skip")[0] == EXIT_ROWS_LEFT_OUT
    assert [row["n"] for row in table.stream.rows()] == [1, 3]
    status, said = table.insert(write(tmp_path, "n,t\n1,a\n".encode("utf-16")))
    assert (status, "UTF-16" in said) == (1, True)


def test_floats_keep_every_bit(make: Any, tmp_path: Path) -> None:
    """Digits that only repeat the double are no loss."""
    table = make("x:float")
    values = [0.1, 1 / 3, math.pi * 1e300, 2.0**60, 5e-324]
    file = write(tmp_path, "x\n" + "\n".join(f"{value:.17g}" for value in values) + "\n")
    assert table.insert(file)[0] == 0
    assert [row["x"] for row in table.stream.rows()] == values
