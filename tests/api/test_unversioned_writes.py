"""Writes without a version in the reference are for the next version; reads keep to the current one."""

from collections.abc import Iterator

import pytest

from tests.api.publishing import Publication
from tests.server_process import ServerProcess, rowkeep

WITHOUT = ""


@pytest.fixture
def publication(server: ServerProcess) -> Iterator[Publication]:
    """A dataset with v1.0: the table `answers` with the upload `live` of two rows."""
    made = Publication(server)
    made.publish("answers", "live", [{"a": 1}, {"a": 2}])
    yield made
    made.close()


def open_next(publication: Publication) -> str:
    """Opens the next version with a stream `live`; the upload's path without a version."""
    publication.done("POST", f"{publication.dataset()}/versions")
    publication.add_upload("answers", "live", [], [{"name": "a", "type": "integer"}])
    return f"{publication.table('answers', WITHOUT)}/uploads/live"


def test_rows_go_into_the_next_version(publication: Publication) -> None:
    """An insert without a version adds to next and says so; a read without one shows the current version."""
    upload = open_next(publication)
    answer = publication.done("POST", f"{upload}/rows", {"rows": [{"a": 3}]})
    assert (answer["rowsAdded"], answer["version"]) == (1, "next")
    assert publication.rows("answers", "next") == [{"a": 1}, {"a": 2}, {"a": 3}]
    assert publication.rows("answers", WITHOUT) == publication.rows("answers", "v1.0") == [{"a": 1}, {"a": 2}]
    assert publication.done("GET", upload)["numRows"] == 2
    lines = publication.client.post(
        f"{upload}/rows?acks=true", content=b'{"a": 4}\n', headers={"Content-Type": "application/x-ndjson"}
    )
    assert '"rowsAdded":1' in lines.text
    assert publication.rows("answers", "next")[2:] == [{"a": 3}, {"a": 4}]


def test_uploads_are_created_and_deleted_in_the_next_version(publication: Publication) -> None:
    """An upload's path says which version it was created in; deleting leaves the released one."""
    publication.done("POST", f"{publication.dataset()}/versions")
    uploads = f"{publication.table('answers', WITHOUT)}/uploads"
    made = publication.done("POST", uploads, {"name": "live", "type": "stream"})
    assert ":next." in made["uri"]
    publication.done("DELETE", f"{uploads}/live")
    publication.refused(404, "GET", made["uri"])
    assert publication.done("GET", f"{uploads}/live")["numRows"] == 2


def test_quarantine_and_requests_are_those_of_the_next_version(publication: Publication) -> None:
    """What was skipped or has a key is found under the path that it was sent to."""
    upload = open_next(publication)
    rows = {"rows": [{"a": 3}, {"a": "x"}], "skipInvalidRows": True}
    response = publication.client.post(f"{upload}/rows", json=rows, headers={"Idempotency-Key": "k"})
    assert response.json()["rowsSkipped"] == 1
    request = publication.done("GET", f"{upload}/requests/k")
    assert (request["state"], request["version"]) == ("stored", "next")
    assert len(publication.done("GET", f"{upload}/quarantine")["results"]) == 1
    assert publication.done("POST", f"{upload}/quarantine/replay", {"updateSchema": True}) == {
        "kind": "quarantineReplay",
        "rowsAdded": 1,
        "rowsRemaining": 0,
        "schemaUpdates": [
            {
                "addedVariables": [],
                "updatedVariables": [{"name": "a", "type": "string", "previousType": "integer"}],
            }
        ],
        "version": "next",
    }
    assert publication.done("DELETE", f"{upload}/requests/k")["state"] == "undone"
    publication.done("DELETE", f"{upload}/quarantine")
    assert publication.rows("answers", "v1.0") == [{"a": 1}, {"a": 2}]


@pytest.mark.parametrize("version", [WITHOUT, "next"])
def test_without_a_next_version_the_error_says_how_to_open_one(
    publication: Publication, version: str
) -> None:
    """Whatever is written, the error names the request that opens the next version, and it does."""
    table = publication.table("answers", version)
    for method, path, body in [
        ("POST", "/uploads/live/rows", {"rows": [{"a": 3}]}),
        ("POST", "/uploads/live/rows?acks=true", None),
        ("POST", "/uploads", {"name": "u", "type": "stream"}),
        ("DELETE", "/uploads/live", None),
        ("POST", "/uploads/live/quarantine/replay", {}),
        ("DELETE", "/uploads/live/requests/k", None),
    ]:
        if "acks" in path:
            headers = {"Content-Type": "application/x-ndjson"}
            response = publication.client.post(table + path, content=b"{}\n", headers=headers)
            assert response.status_code == 404
            problem = response.json()["error_description"]
        else:
            problem = publication.refused(404, method, table + path, body)
        assert f"POST /api/v1/datasets/{publication.reference}/versions" in problem
        assert "continueStreams" in problem
    publication.done("POST", f"/datasets/{publication.reference}/versions")


def test_a_released_upload_keeps_its_quarantine_path(publication: Publication) -> None:
    """Without a next version, what waits in the current one is found and can be thrown away."""
    upload = f"{publication.table('answers', WITHOUT)}/uploads/live"
    assert publication.done("GET", f"{upload}/quarantine")["results"] == []
    publication.done("DELETE", f"{upload}/quarantine")
    publication.refused(404, "GET", f"{upload}/requests/never")


def test_whoever_may_not_edit_hears_of_the_version_that_they_see(server: ServerProcess) -> None:
    """A reader's insert gets 403 where they see the dataset, 404 in a version that they do not see."""
    publication = Publication(server, "data")
    publication.publish("answers", "live", [{"a": 1}])
    open_next(publication)
    rowkeep("user", "create", "unversioned_reader", data_dir=server.data_dir)
    reader = rowkeep("token", "create", "--user", "unversioned_reader", data_dir=server.data_dir)
    for version, status in ((WITHOUT, 403), ("next", 404)):
        path = f"{publication.table('answers', version)}/uploads/live/rows"
        publication.refused(status, "POST", path, {"rows": [{"a": 2}]}, token=reader)
    publication.close()
