"""What is wrong with a file: told by place, skipped into the quarantine, or the end of its load alone."""

from collections.abc import Iterator

import pytest

from tests.api.loading import load
from tests.api.publishing import Publication
from tests.server_process import ServerProcess

JAGGED = b"id,name\n1,a\n2\n3,c\n4,d,more\n5,e\n"


@pytest.fixture
def made(server: ServerProcess) -> Iterator[Publication]:
    """A dataset with an empty table."""
    publication = Publication(server)
    publication.add_table("answers")
    yield publication
    publication.close()


def test_a_bad_record_is_told_by_its_line(made: Publication) -> None:
    """A record that does not fit fails the load, which says line and reason; no row of the file is there."""
    upload = load(made, "answers", JAGGED, name="answers.csv")
    assert (upload["status"], upload["numRows"], upload["badRecordsCount"]) == ("failed", 0, 2)
    assert upload["errorMessage"].startswith("Line 3: ")
    assert "skipBadRecords" in upload["errorMessage"]
    assert [record["line"] for record in upload["badRecords"]] == [3, 5]
    assert made.rows("answers", "next") == []


def test_bad_records_are_skipped_into_the_quarantine(made: Publication) -> None:
    """With skipBadRecords the others are loaded; the bad ones are kept as they came, with their reasons."""
    upload = load(made, "answers", JAGGED, name="answers.csv", skipBadRecords="true")
    assert (upload["status"], upload["numRows"], upload["badRecordsCount"]) == ("completed", 3, 2)
    assert upload["errorMessage"] is None
    assert [row["id"] for row in made.rows("answers", "next")] == [1, 3, 5]
    kept = made.done("GET", f"{upload['uri']}/quarantine")["results"]
    assert [row["content"] for row in kept] == ["2", "4,d,more"]
    assert all(row["reasons"][0]["message"] for row in kept)
    problem = made.refused(400, "POST", f"{upload['uri']}/quarantine/replay", {})
    assert "made of a file" in problem


def test_what_was_found_stands_in_the_upload(made: Publication) -> None:
    """The delimiter and the header that were found, and what the caller said, are in the resource."""
    upload = load(made, "answers", b"id;name\n007;Zo\xeb\n", name="answers.txt", encoding="cp1252")
    facts = {name: upload[name] for name in ("status", "type", "delimiter", "hasHeaderRow", "encoding")}
    assert facts == {
        "status": "completed",
        "type": "delimited",
        "delimiter": ";",
        "hasHeaderRow": True,
        "encoding": "cp1252",
    }
    assert made.rows("answers", "next") == [{"id": "007", "name": "Zoë"}]


def test_given_types_and_null_markers(made: Publication) -> None:
    """A type that the caller gives holds, null markers are null."""
    said = {"schema": '[{"name":"id","type":"string"}]', "nullMarkers": ["NA", "."]}
    upload = load(made, "answers", b"id,score\n1,NA\n2,.\n3,4\n", name="answers.csv", **said)
    assert upload["nullMarkers"] == ["NA", "."]
    assert made.rows("answers", "next") == [{"id": "1"}, {"id": "2"}, {"id": "3", "score": 4}]


def test_a_file_without_rows(made: Publication) -> None:
    """A header alone makes variables and no row; a file without anything fails."""
    upload = load(made, "answers", b"id,name\n", name="answers.csv")
    assert (upload["status"], upload["numRows"]) == ("completed", 0)
    assert list(made.types("answers", "next")) == ["id", "name"]
    assert made.done("GET", f"{upload['uri']}/verify")["isIntact"]
    assert load(made, "answers", b"", name="nothing.csv")["status"] == "failed"
