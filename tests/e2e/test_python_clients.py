"""Python clients of several years, unmodified, against a real server. Source: contract 6.1, their own source.

Each runs tests/e2e/clients/python_cycle.py once; what it told is asserted here. All must tell the same but
where a test says otherwise.
"""

from typing import Any

import pytest

from tests.api.stream import ALL_TYPES
from tests.command_line import rowkeep
from tests.e2e.client_process import SCRIPTS, Facts, drive, python_of
from tests.server_process import ServerProcess

INSTALLED = "0.21.1"  # beside the tests; the others have environments of their own
VERSIONS = ("0.15.19", "0.18.20", "0.20.6", INSTALLED)
RAISES_BARE = ("0.15.19", "0.18.20")  # Exception(<the error's JSON>) instead of classes
SECTIONS = [
    *("current", "datasets", "owners", "tables", "stream", "widening"),
    *("variables", "reading", "released", "errors"),
]

NAMES = [item["name"] for item in ALL_TYPES]
TYPES = [[item["name"], item["type"]] for item in ALL_TYPES]
ARROW_TYPES = ["string", "int64", "double", "bool", "date32[day]", "timestamp[us]", "time64[us]", "string"]
ROWS: list[dict[str, Any]] = [
    {
        "site": "Zürich \u0000 日本",
        "count": 9007199254740993,
        "temperature": 20.5,
        "valid": True,
        "day": "2020-02-29",
        "measured_at": "1970-01-01T00:00:00.000",
        "local_time": "23:59:59.999999",
        "position": "POINT(10 20)",
    },
    {"site": "", "count": -(2**63), "temperature": -1e-300, "valid": False, "day": "0001-01-01"},
    {},
]

_told: dict[str, dict[str, Facts]] = {}


@pytest.fixture(params=VERSIONS)
def version(request: pytest.FixtureRequest) -> str:
    """A version of the client."""
    name: str = request.param
    return name


@pytest.fixture
def told(version: str, server: ServerProcess) -> dict[str, Facts]:
    """What that version told of its whole cycle."""
    if version not in _told:
        reader = rowkeep(
            "token", "create", "--user", server.user, "--scope", "data.data", data_dir=server.data_dir
        )
        given = {
            "owner": server.user,
            "organization": server.organization,
            "sections": [*SECTIONS, "anonymous"] if version == INSTALLED else SECTIONS,
            "schema": ALL_TYPES,
            "rows": ROWS,
            "readerToken": reader,
        }
        _told[version] = drive([python_of(version, INSTALLED), SCRIPTS / "python_cycle.py"], server, given)
    return _told[version]


def assert_refused(told: Facts | None, version: str, kind: str, status: int, text: str) -> None:
    """The client reports a refusal by the server: as which exception, with which status and words."""
    assert told is not None
    assert told["kind"] == ("dict" if version in RAISES_BARE else kind)
    assert told["status"] == status
    assert text in told["text"]


def test_current_user(told: dict[str, Facts], version: str, server: ServerProcess) -> None:
    """It is the version it should be, and knows whose token it has (0.15 cannot ask)."""
    user = None if version == "0.15.19" else server.user
    assert told["current"] == {"version": version, "user": user}


def test_dataset_life(told: dict[str, Facts], version: str) -> None:
    """A dataset is created, found by any reference, listed, changed, renamed and deleted."""
    facts = told["datasets"]
    name = f"Datasets, first of {version.replace('.', '-')}"
    assert facts["created"] == {"name": name, "description": "about it", "publicAccessLevel": "none"}
    assert (facts["existedBefore"], facts["exists"], facts["existsAfter"]) == (False, True, False)
    assert (facts["existsByReference"], facts["existsByOldReference"]) == (True, True)
    assert (facts["listed"], facts["listedAtMost"]) == (True, 1)
    assert facts["updated"] == {"description": "more of it", "publicAccessLevel": "overview"}
    assert facts["labels"] == ["a", "c"]
    for when in ("getBefore", "getAfter"):
        assert_refused(facts[when], version, "NotFoundError", 404, "There is no dataset")
    assert_refused(facts["createdAgain"], version, "APIError", 400, "already")


def test_owners(told: dict[str, Facts], version: str) -> None:
    """Organizations own datasets; a reference without the kind of owner finds it (0.15 has none)."""
    old = version == "0.15.19"
    assert told["owners"] == {
        "exists": True,
        "listed": True,
        "organizations": None if old else [True, False, False],
        "unkinded": None if old else [True, True],
    }


def test_table_life(told: dict[str, Facts], version: str) -> None:
    """A table is created, found, listed, changed and deleted."""
    facts = told["tables"]
    described = {"name": "A table, of sorts", "description": "sorts", "uploadMergeStrategy": "replace"}
    assert facts["created"] == {**described, "numRows": 0, "numBytes": 0}
    assert facts["container"] == "dataset"
    assert (facts["existedBefore"], facts["exists"], facts["existsAfter"]) == (False, [True, True], False)
    assert facts["listed"] == ["A table, of sorts", "Second"]
    assert facts["listedAfter"] == ["Second"]
    assert facts["updated"] == {"name": "Renamed", "description": "other", "uploadMergeStrategy": "append"}
    assert_refused(facts["createdAgain"], version, "APIError", 400, "already")
    assert_refused(facts["getAfter"], version, "NotFoundError", 404, "There is no table")


def test_stream_life(told: dict[str, Facts], version: str) -> None:
    """A stream is created, filled, found although its name has dots and slashes, replaced and deleted."""
    facts = told["stream"]
    name = "in/out v1.2"
    assert (facts["existedBefore"], facts["exists"], facts["existsAfter"]) == (False, [True, True], False)
    expected = {"kind": "insertRowsResponse", "rowsAdded": 3, "rowsSkipped": 0, "schemaUpdates": []}
    assert {name: facts["receipt"][name] for name in expected} == expected
    assert (facts["receipt"]["firstRow"], facts["receipt"]["lastRow"]) == (0, 2)
    assert facts["got"] == {"name": name, "type": "stream", "status": "completed", "numRows": 3}
    assert facts["listed"] == [name]
    assert (facts["tableRows"], facts["tableRowsReplaced"]) == (3, 0)
    assert facts["renamed"]
    assert_refused(facts["refused"], version, "APIError", 400, 'Row 1: variable "count" takes an integer')
    assert_refused(facts["refusedNaN"], version, "APIError", 400, "NaN")
    assert "already exists on this version of the table" in facts["createdAgain"]["text"]


def test_stream_without_schema(told: dict[str, Facts], version: str) -> None:
    """A stream without a schema takes its variables from the rows and widens them."""
    facts = told["widening"]
    added = [{"name": "site", "type": "string"}, {"name": "extra", "type": "integer"}]
    assert facts["freeFirst"]["schemaUpdates"] == [{"updatedVariables": [], "addedVariables": added}]
    assert facts["freeSecond"]["schemaUpdates"] == [
        {
            "updatedVariables": [{"name": "extra", "type": "float", "previousType": "integer"}],
            "addedVariables": [{"name": "note", "type": "boolean"}],
        }
    ]
    assert facts["freeTypes"] == [["site", "string"], ["extra", "float"], ["note", "boolean"]]
    assert facts["freeRows"] == [
        {"site": "a", "extra": 1.0, "note": None},
        {"site": None, "extra": 1.5, "note": True},
    ]


def test_update_schema(told: dict[str, Facts], version: str) -> None:
    """A declared schema refuses what does not fit, and widens when the client asks (today's cannot)."""
    facts = told["widening"]
    assert_refused(facts["typedRefused"], version, "APIError", 400, 'variable "var1"')
    assert_refused(facts["typedUnknown"], version, "APIError", 400, 'unknown variable "var3"')
    if version == INSTALLED:
        assert facts["typed"] is None
        return
    widened = {"name": "var1", "type": "string", "previousType": "integer"}
    empty = {"name": "var3", "type": "string"}  # nothing but null so far; the first value decides its type
    settled = {"name": "var3", "type": "integer", "previousType": "string"}
    assert facts["typed"] == [
        [],
        [{"updatedVariables": [widened], "addedVariables": []}],
        [],
        [{"updatedVariables": [], "addedVariables": [empty]}],
        [{"updatedVariables": [settled], "addedVariables": []}],
    ]
    assert facts["typedTypes"] == [["var1", "string"], ["var2", "string"], ["var3", "integer"]]
    assert [list(row.values()) for row in facts["typedRows"]] == [
        ["1", "a", None],
        ["a", "1", None],
        ["1.2", "1.2", None],
        [None, "2020-01-01", None],
        [None, "2020-01-01T00:00:00", None],
        [None, None, 2],
    ]


def test_variables(told: dict[str, Facts], version: str) -> None:
    """Variables are listed with their types, found whatever their case, and described."""
    facts = told["variables"]
    assert facts["table"] == facts["upload"] == TYPES
    assert facts["exists"] == [True, True, False]
    assert facts["uploadExists"]
    labels = [{"value": "a", "label": "A"}]
    described = {"name": "site", "label": "Where", "description": "place", "valueLabels": labels}
    assert facts["described"] == described
    assert facts["got"] == {"type": "string", "label": "Where"}
    assert facts["valueLabelsOfMap"] == [{"value": "b", "label": "B"}]
    assert_refused(facts["unknown"], version, "NotFoundError", 404, "nowhere")
    if version in RAISES_BARE:
        assert (facts["bulk"], facts["bulkUnknown"]) == (None, None)
    else:
        assert facts["bulk"] == ["How many", "When", "Good"]
        assert_refused(facts["bulkUnknown"], version, "NotFoundError", 404, "nowhere")


def test_statistics(told: dict[str, Facts], version: str) -> None:
    """Statistics of a table's and an upload's variable (0.15 looks for them in the variable itself)."""
    counted = {"status": "completed", "count": 2, "numDistinct": 2, "min": -(2**63), "max": 9007199254740993}
    assert told["variables"]["statistics"] == (None if version == "0.15.19" else [counted, counted])


def without_time(values: list[Any], version: str) -> list[Any]:
    """A row, or what else there is one of per variable, as far as the version can read it."""
    if version != "0.15.19":
        return values
    return [value for value, (_, kind) in zip(values, TYPES, strict=True) if kind != "time"]


@pytest.mark.parametrize("parent", ["table", "upload"])
def test_reading(told: dict[str, Facts], version: str, parent: str) -> None:
    """Rows come back exactly as they went in, in every form that the version offers.

    0.15 fails on variables of type time, whoever serves them as times: it must leave them out.
    """
    assert told["reading"]["timeRefused"] == ("ArrowNotImplementedError" if version == "0.15.19" else None)
    assert told["reading"]["columns"] == without_time(NAMES, version)
    facts = told["reading"][parent]
    first = {**ROWS[0], "measured_at": "1970-01-01T00:00:00.000000"}
    rows = [without_time([row.get(name) for name in NAMES], version) for row in (first, ROWS[1], {})]
    assert facts["types"] == without_time(ARROW_TYPES, version)
    for form in ("arrow", "batches", "dataset", "polars"):
        assert facts[form] == rows, form
    assert facts["streams"] == (None if version in RAISES_BARE else rows)
    assert facts["someArrow"] == [[row["count"], row["site"]] for row in ROWS[:2]]
    assert facts["somePandas"] == [["count", "site"], [row["count"] for row in ROWS[:2]]]
    assert facts["pandas"] == [[3, len(rows[0])]] * 3
    assert facts["dask"] == 3
    assert facts["geopandas"] == ["POINT (10 20)", None, None]


def test_reading_several_uploads(told: dict[str, Facts], version: str) -> None:
    """Uploads with different variables stack in their table; every row comes once and in order."""
    facts = told["reading"]
    assert facts["stacked"] == {
        "columns": ["extra", "site", "count"],
        "rows": 1003,
        "batchRows": 1003,
        "nulls": [3, 1001, 1],
    }
    assert facts["order"] == [True, True]


def test_reading_nothing(told: dict[str, Facts], version: str) -> None:
    """A stream without rows reads as an empty table with its variables."""
    nothing = {"rows": 0, "columns": NAMES, "pandas": NAMES}
    assert told["reading"]["empty"] == {"table": nothing, "upload": nothing}


def test_versions(told: dict[str, Facts], version: str) -> None:
    """A version is released, continued, released again, read at each tag, taken back and deleted."""
    facts = told["released"]
    assert "Next version already exists" in facts["nextExists"]["text"]
    assert (facts["first"], facts["noNext"], facts["second"]) == ("v1.0", None, "v1.1")
    assert_refused(facts["writeRefused"], version, "APIError", 400, "released and never changes")
    assert facts["nextAgain"] == [False, "next"]
    assert facts["tags"] == ["next", "v1.0"]
    assert facts["numbers"] == {"current": [1, 2], "v1.0": [1, 2], "next": [1, 2, 3]}
    assert facts["numbersOfSecond"] == {"v1_0": [1, 2], "v1.1": [1, 2, 3], "current": [1, 2, 3]}
    old = version == "0.15.19"  # has neither notes nor changes of versions
    assert facts["versions"] == {
        "next": "v1.1",
        "previous": "v1.0",
        "last": None,
        "notes": None if old else "more",
        "updated": None if old else ["spring", "other"],
    }
    assert (facts["unreleased"], facts["current"]) == ("next", "v1.0")
    assert facts["exists"] == [True, False, True, False]
    assert facts["deletion"] == {"deleted": True, "undeleted": None if old else False}
    assert facts["existsAfter"] == [False, False]


def test_errors(told: dict[str, Facts], version: str) -> None:
    """Each kind of refusal reaches the user with its status and its words."""
    facts = told["errors"]
    assert_refused(facts["notFound"], version, "NotFoundError", 404, "There is no table nowhere")
    assert_refused(facts["notFoundOwner"], version, "NotFoundError", 404, "There is no user nobody_here")
    assert_refused(facts["invalid"], version, "APIError", 400, "there is no type 'x'")
    assert_refused(facts["scope"], version, "AuthorizationError", 403, "lacks the scope data.edit")
    assert facts["scopeReads"] == 1
    for call in ("token", "tokenExists"):
        assert_refused(facts[call], version, "APIError", 401, "This token is not known")


def test_public_data(told: dict[str, Facts], version: str) -> None:
    """Public data is read without a token by today's client; the older ones ask for a login first."""
    if version == INSTALLED:
        assert told["anonymous"] == {"exists": [True, True], "rows": 3, "batchRows": 3}
    else:
        assert "anonymous" not in told
