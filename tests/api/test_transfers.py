"""Content that the server fetches itself: its own tables, and what other servers have. Contract 4.5."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.api.loading import finished
from tests.api.publishing import Json, Publication
from tests.api.stream import ALL_TYPES
from tests.command_line import rowkeep
from tests.server_process import ServerProcess

ROW: Json = {
    "site": "Zürich",
    "count": 9007199254740993,
    "temperature": -0.0,
    "valid": True,
    "day": "2020-02-29",
    "measured_at": "1970-01-01T00:00:00.123456",
    "local_time": "23:59:59",
    "position": "POINT(10 20)",
}


@pytest.fixture
def made(server: ServerProcess) -> Iterator[Publication]:
    """A data set with a table of two rows, `source`, and an empty one, `target`."""
    publication = Publication(server)
    publication.add_table("source")
    publication.add_upload("source", "live", [ROW, {"site": "Bern"}], ALL_TYPES)
    publication.add_table("target")
    yield publication
    publication.close()


def transfer(made: Publication, specification: Json, **said: Any) -> Json:
    """An upload of what is fetched, once it is there or has failed."""
    body = {"name": "copy", "transferSpecification": specification, **said}
    created = made.done("POST", f"{made.table('target')}/uploads", body)
    assert created["status"] in ("queued", "running")
    return finished(made, created["uri"])


def refusal(made: Publication, specification: Json, status: int = 400) -> str:
    """Why a transfer is refused when it is asked for."""
    body = {"name": "copy", "transferSpecification": specification}
    return made.refused(status, "POST", f"{made.table('target')}/uploads", body)


def test_a_table_is_copied(made: Publication) -> None:
    """All rows, values and types, as of the moment it was asked for; labels too."""
    path = made.table("source")
    made.done("PATCH", f"{path}/variables", {"variables": [{"name": "count", "label": "how many"}]})
    upload = transfer(made, {"sourceType": "redivis", "sourcePath": f"{made.reference}:next.source"})
    assert upload["status"] == "completed", upload["errorMessage"]
    assert (upload["numRows"], upload["badRecordsCount"]) == (2, 0)
    assert upload["size"] > 0
    assert made.rows("target", "next") == made.rows("source", "next")
    assert made.types("target", "next") == made.types("source", "next")
    assert made.done("GET", f"{upload['uri']}/verify")["isIntact"] is True
    made.add_upload("source", "later", [{"site": "later"}])
    assert len(made.rows("target", "next")) == 2, "it was one snapshot"


def test_a_version_is_copied(made: Publication) -> None:
    """A reference without a version means the current one, to be read."""
    made.release()
    made.done("POST", f"{made.dataset()}/versions")
    made.add_upload("source", "later", [{"site": "later"}])
    transfer(made, {"sourceType": "redivis", "sourcePath": f"{made.reference}.source"})
    assert len(made.rows("target", "next")) == 2


def test_only_what_its_caller_may_read(made: Publication, server: ServerProcess) -> None:
    """Another's table is absent to who may not see it."""
    data_dir = server.data_dir
    rowkeep("user", "create", "copier", data_dir=data_dir)
    token = rowkeep("token", "create", "--user", "copier", data_dir=data_dir)
    theirs = made.ask("POST", "/users/copier/datasets", {"name": "own"}, token)
    assert theirs.status_code == 201, theirs.text
    assert made.ask("POST", "/datasets/copier.own:next/tables", {"name": "target"}, token).status_code == 201
    for path in (f"{made.reference}:next.source", "demo.nothing.source"):
        body = {"name": "copy", "transferSpecification": {"sourceType": "redivis", "sourcePath": path}}
        made.refused(404, "POST", "/tables/copier.own:next.target/uploads", body, token)


@pytest.mark.parametrize("kind", ["gcs", "s3", "", None, 5])
def test_other_kinds(made: Publication, kind: Any) -> None:
    """What is not served is told, with what is."""
    told = refusal(made, {"sourceType": kind, "sourcePath": "bucket/test.csv", "identity": "a@example.org"})
    assert "are not served" in told
    assert "redivis" in told


def test_no_other_server_without_the_operator(made: Publication) -> None:
    """By default nothing is fetched from anywhere, whatever the address."""
    for url in ("https://example.org/a.csv", "http://127.0.0.1:1/", "file:///etc/passwd", "nonsense"):
        assert "transfer_hosts" in refusal(made, {"sourceType": "url", "sourcePath": url})


def test_a_specification_and_a_file(made: Publication) -> None:
    """One or the other; and a specification needs a place."""
    assert "sourcePath" in refusal(made, {"sourceType": "redivis"})
    made.add_table("empty")
    assert "no variables" in refusal(
        made, {"sourceType": "redivis", "sourcePath": f"{made.reference}:next.empty"}
    )
    body = {
        "transferSpecification": {"sourceType": "redivis", "sourcePath": "a.b.c"},
        "tempUploadId": "0" * 32,
    }
    assert "not both" in made.refused(400, "POST", f"{made.table('target')}/uploads", body)


def test_hosts_that_lead_inside(tmp_path: Path) -> None:
    """A host that is permitted and has an address inside is not asked: the upload fails and says so."""
    server = ServerProcess(tmp_path / "data", transfer_hosts="localhost:1, 127.0.0.1:2, 10.0.0.1")
    server.start()
    try:
        made = Publication(server)
        made.add_table("target")
        for url in ("http://localhost:1/a.csv", "http://127.0.0.1:2/a.csv", "https://10.0.0.1/"):
            failed = transfer(made, {"sourceType": "url", "sourcePath": url})
            assert failed["status"] == "failed"
            assert "not public" in failed["errorMessage"]
        told = refusal(made, {"sourceType": "url", "sourcePath": "http://localhost:2/a.csv"})
        assert "does not fetch from localhost:2" in told
        made.close()
    finally:
        server.close()
