"""Downloads of the official client, unmodified, against a real server."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.api.publishing import Publication
from tests.e2e.client_process import SCRIPTS, Facts, drive, python_of
from tests.e2e.test_python_clients import INSTALLED
from tests.server_process import ServerProcess

ROWS = [{"site": "a", "count": 1}, {"site": "b", "count": None}]


@pytest.fixture
def made(server: ServerProcess) -> Iterator[Publication]:
    """A data set that is not released, with two rows."""
    publication = Publication(server)
    publication.add_table("answers")
    publication.add_upload("answers", "live", ROWS)
    yield publication
    publication.close()


@pytest.mark.parametrize("version", ["0.20.6", INSTALLED])
def test_python(server: ServerProcess, made: Publication, version: str, tmp_path: Path) -> None:
    """Downloads have the rows; 0.21.1 reads a table that says it is large through an export by itself."""
    owner, _, dataset = made.reference.partition(".")
    given = {"owner": owner, "dataset": dataset, "table": "answers", "folder": str(tmp_path)}
    script = SCRIPTS / "python_export.py"
    told: Facts = drive([python_of(version, INSTALLED), script], server, given)["export"]
    assert told["csv"] == '"site","count"\n"a",1\n"b",\n'
    assert told["parquet"] == ROWS
    assert told["query"] == ([{"n": 2}] if version == INSTALLED else None)
    assert told["folder"] == "answers.jsonl"
    assert told["large"] == [["a", 1], ["b", None]]
    assert "must be one of csv" in told["refused"]["text"]
    newest = [each["format"] for each in made.done("GET", "/exports?maxResults=2")["results"]]
    # The large one, and the folder before it; 0.20.6 opens a read session all the same.
    assert newest == (["parquet", "jsonl"] if version == INSTALLED else ["jsonl", "parquet"])
