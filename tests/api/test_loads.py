"""Uploads of files: sent, loaded into segments by a worker, and then like any other rows."""

import datetime
import json
from collections.abc import Iterator

import pytest

from tests.api.loading import begin_load, finished, load, parquet_of, send
from tests.api.publishing import Publication
from tests.server_process import ServerProcess, wait_until

ROWS = {
    "id": [1, 2, 3],
    "share": [0.5, None, 1e22],
    "is_open": [True, False, None],
    "day": [datetime.date(2024, 2, 29), None, datetime.date(1, 1, 1)],
    "at": [datetime.datetime(2024, 1, 1, 12), datetime.datetime(9999, 12, 31, 23, 59, 59, 999999), None],
    "clock": [datetime.time(0, 0), None, datetime.time(23, 59, 59, 5)],
    "name": ["a", "", None],
}
SHOWN = [
    {"id": 1, "share": 0.5, "is_open": True, "day": "2024-02-29", "at": "2024-01-01 12:00:00",
     "clock": "00:00:00", "name": "a"},
    {"id": 2, "is_open": False, "at": "9999-12-31 23:59:59.999999", "name": ""},
    {"id": 3, "share": 1e22, "day": "0001-01-01", "clock": "23:59:59.000005"},
]  # fmt: skip


@pytest.fixture
def made(server: ServerProcess) -> Iterator[Publication]:
    """A dataset with an empty table."""
    publication = Publication(server)
    publication.add_table("answers")
    yield publication
    publication.close()


def test_a_file_becomes_rows(made: Publication) -> None:
    """The upload is queued, then completed; its rows are those of the file, typed; its chain verifies."""
    content = parquet_of(**ROWS)
    created = begin_load(made, "answers", content, name="wave1.parquet")
    assert (created["name"], created["numRows"]) == ("wave1.parquet", 0)
    assert created["status"] in ("queued", "running", "completed")
    upload = finished(made, created["uri"])
    facts = {name: upload[name] for name in ("status", "percentCompleted", "numRows", "type", "size")}
    assert facts == {
        "status": "completed",
        "percentCompleted": 100,
        "numRows": 3,
        "type": "parquet",
        "size": len(content),
    }
    assert made.rows("answers", "next") == SHOWN
    assert made.types("answers", "next") == {
        "id": "integer",
        "share": "float",
        "is_open": "boolean",
        "day": "date",
        "at": "dateTime",
        "clock": "time",
        "name": "string",
    }
    assert made.done("GET", f"{upload['uri']}/verify")["isIntact"]
    statistics = f"{made.table('answers')}/variables/id/statistics"
    wait_until(lambda: made.done("GET", statistics)["status"] == "completed")
    assert made.done("GET", statistics)["mean"] == 2


def test_files_and_streams_stack(made: Publication) -> None:
    """Uploads of one table stack by the names of their variables, and types widen, whatever they came as."""
    load(made, "answers", parquet_of(id=[1], score=[5]), name="one.parquet")
    types = {"id": "integer", "score": "float", "note": "string"}
    schema = [{"name": name, "type": type_} for name, type_ in types.items()]
    made.add_upload("answers", "live", [{"id": 2, "score": 2.5, "note": "streamed"}], schema)
    load(made, "answers", parquet_of(ID=[3], score=["high"]), name="two.parquet")
    assert made.types("answers", "next") == {"id": "integer", "score": "string", "note": "string"}
    assert made.rows("answers", "next") == [
        {"id": 1, "score": "5"},
        {"id": 2, "score": "2.5", "note": "streamed"},
        {"id": 3, "score": "high"},
    ]


def test_loaded_rows_are_released_and_carried_on(made: Publication) -> None:
    """A release freezes loaded rows; the next version keeps them and takes more."""
    load(made, "answers", parquet_of(id=[1, 2]), name="one.parquet")
    assert made.release()["tag"] == "v1.0"
    made.done("POST", f"{made.dataset()}/versions")
    upload = load(made, "answers", parquet_of(id=[3]), name="two.parquet")
    assert upload["status"] == "completed"
    assert [row["id"] for row in made.rows("answers", "v1.0")] == [1, 2]
    assert [row["id"] for row in made.rows("answers", "next")] == [1, 2, 3]
    assert made.release()["tag"] == "v1.1"


def test_what_cannot_be_read_fails_with_a_reason(made: Publication) -> None:
    """A file that is none of its type leaves no row, says why, and keeps the version from being released."""
    upload = load(made, "answers", b"PAR1 and then something else", name="wave1.parquet")
    assert (upload["status"], upload["numRows"]) == ("failed", 0)
    assert "wave1.parquet" in upload["errorMessage"]
    assert made.rows("answers", "next") == []
    assert "wave1.parquet could not be loaded" in made.refused(
        400, "POST", made.version("next", "release"), {}
    )
    assert not made.done("GET", made.version("next"))["canRelease"]
    made.done("DELETE", upload["uri"])
    made.release()


def test_metadata_describes_the_variables(made: Publication) -> None:
    """Labels come with the request, by the names in the file; a name that is not there is an error."""
    said = json.dumps({"Q1": {"label": "First question", "valueLabels": {"1": "yes"}}})
    upload = load(made, "answers", parquet_of(q1=[1]), name="one.parquet", metadata=said)
    assert upload["status"] == "completed"
    variable = made.done("GET", f"{made.table('answers')}/variables/q1")
    assert (variable["label"], variable["valueLabels"]) == (
        "First question",
        [{"value": "1", "label": "yes"}],
    )
    failed = load(made, "answers", parquet_of(id=[1]), name="two.parquet", metadata=said)
    assert "'Q1'" in failed["errorMessage"]


def test_a_duplicate_name_gets_a_number(made: Publication) -> None:
    """Two files of one name are two uploads (contract 7.12)."""
    names = [load(made, "answers", parquet_of(id=[1]), name="a.parquet")["name"] for _ in range(2)]
    assert names == ["a.parquet", "a_1.parquet"]


def test_rows_are_not_inserted_into_a_file(made: Publication) -> None:
    """An upload that was made of a file takes no rows (contract 7.15)."""
    upload = load(made, "answers", parquet_of(id=[1]), name="a.parquet")
    problem = made.refused(400, "POST", f"{upload['uri']}/rows", {"rows": [{"id": 2}]})
    assert "made of a file" in problem


def test_read_sessions_and_followers_see_loaded_rows(made: Publication) -> None:
    """A read session of the table has the loaded rows; one that was made before has not."""
    before = made.done("POST", f"{made.table('answers')}/readSessions", {})
    load(made, "answers", parquet_of(id=list(range(200_000))), name="many.parquet")
    session = made.done("POST", f"{made.table('answers')}/readSessions", {"requestedStreamCount": 4})
    assert (before["numRows"], session["numRows"]) == (0, 200_000)
    assert made.arrow(made.table("answers")).column("id").to_pylist() == list(range(200_000))


def test_what_is_said_is_checked_at_once(made: Publication) -> None:
    """What no file can be is refused before anything is loaded."""
    assert "tempUploadId" in made.refused(400, "POST", f"{made.table('answers')}/uploads", {"name": "a.csv"})
    body = {"name": "a.csv", "tempUploadId": "unknown"}
    assert "'unknown'" in made.refused(400, "POST", f"{made.table('answers')}/uploads", body)
    assert send(made, "answers", b"x", name="a.csv", type="exe").status_code == 400
    assert send(made, "answers", b"x", name="a.csv", hasHeaderRow="perhaps").status_code == 400
    assert made.done("GET", f"{made.table('answers')}/uploads")["results"] == []
