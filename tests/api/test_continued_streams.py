"""A release with continueStreams: the streams go on in the next version, in one commit."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.api.publishing import Publication
from tests.server_process import ServerProcess

SCHEMA = [
    {"name": "n", "type": "integer", "label": "Number", "description": "Counts", "valueLabels": {"1": "one"}},
    {"name": "who", "type": "string"},
]


@pytest.fixture
def publication(server: ServerProcess) -> Iterator[Publication]:
    """A dataset with an unreleased table `answers` and its empty stream `live`."""
    made = Publication(server)
    made.add_table("answers")
    made.add_upload("answers", "live", [], SCHEMA)
    yield made
    made.close()


def insert(publication: Publication, rows: list[Any], key: str | None = None, **said: Any) -> httpx.Response:
    """Inserts rows into the stream of the next version."""
    path = f"{publication.table('answers')}/uploads/live/rows"
    headers = {} if key is None else {"Idempotency-Key": key}
    return publication.client.post(path, json={"rows": rows, **said}, headers=headers)


def live(publication: Publication, version: str = "next") -> Any:
    """The upload of the stream in a version."""
    return publication.done("GET", f"{publication.table('answers', version)}/uploads/live")


@pytest.mark.parametrize("strategy", ["append", "replace"])
def test_a_release_opens_the_next_version_with_its_streams(publication: Publication, strategy: str) -> None:
    """The next version is there with the answer; its stream is empty, and takes rows in the same schema."""
    publication.done("PATCH", publication.table("answers"), {"uploadMergeStrategy": strategy})
    insert(publication, [{"n": 1, "who": "a"}], offsetToken="day 1")  # an offset token
    before = live(publication)
    released = publication.release(continueStreams=True, releaseNotes="all")
    assert (released["tag"], released["nextVersion"]["tag"]) == ("v1.0", "next")
    assert released["releaseNotes"] == "all"
    after = live(publication)
    assert (after["numRows"], after["latestOffsetToken"]) == (0, "day 1")
    assert after["id"] != before["id"]
    assert after["streamId"] == before["streamId"] == before["id"]
    assert publication.done("GET", f"{after['uri']}/variables")["results"][0]["label"] == "Number"
    assert insert(publication, [{"n": 2}]).json()["version"] == "next"
    assert insert(publication, [{"n": "x"}]).status_code == 400
    assert publication.rows("answers", "v1.0") == [{"n": 1, "who": "a"}]
    shown = [{"n": 1, "who": "a"}, {"n": 2}] if strategy == "append" else [{"n": 2}]
    assert publication.rows("answers", "next") == shown


def test_nothing_new_is_nothing_to_release(publication: Publication) -> None:
    """An empty stream that goes on makes no difference: hashes stay, and a second release is refused."""
    insert(publication, [{"n": 1}])
    publication.release(continueStreams=True)
    versions = [publication.done("GET", publication.table("answers", tag)) for tag in ("v1.0", "next")]
    assert versions[0]["hash"] == versions[1]["hash"]
    assert publication.done("GET", publication.version("next"))["canRelease"] is False
    problem = publication.refused(
        400, "POST", publication.version("next", "release"), {"continueStreams": True}
    )
    assert "nothing to release" in problem
    insert(publication, [{"n": 2}])
    assert publication.release(continueStreams=True)["tag"] == "v1.1"


def test_a_release_without_it_continues_nothing(publication: Publication) -> None:
    """As before: after a plain release there is no next version; null and false mean the same."""
    insert(publication, [{"n": 1}])
    assert publication.release(continueStreams=None)["nextVersion"] is None
    assert insert(publication, [{"n": 2}]).status_code == 404


def test_keys_answer_their_first_receipt(publication: Publication) -> None:
    """A repeat after the release, or after several, is told what it was told and inserts nothing."""
    first = insert(publication, [{"n": 1}], key="k").json()
    for count in (2, 3):
        insert(publication, [{"n": count}])
        publication.release(continueStreams=True)
        again = insert(publication, [{"n": 1}], key="k")
        assert again.status_code == 201
        assert again.headers["idempotency-replayed"] == "true"
        assert again.json() == {**first, "version": "v1.0"}
    assert insert(publication, [{"n": 9}], key="k").status_code == 422
    with_large = [{"n": 1, "who": "x" * 1000}] * 2000  # a body that is decoded in another process
    assert insert(publication, with_large, key="k").status_code == 422
    assert [row["n"] for row in publication.rows("answers", "next")] == [1, 2, 3]
    request = publication.done("GET", f"{live(publication)['uri']}/requests/k")
    assert (request["state"], request["version"]) == ("stored", "v1.0")


def test_a_key_that_the_rows_no_longer_fit(publication: Publication) -> None:
    """Also where the schema has been widened since, the first receipt is the answer."""
    insert(publication, [{"n": 1}], key="k")
    publication.release(continueStreams=True)
    insert(publication, [{"n": "many"}], updateSchema=True)
    insert(publication, [{"n": 5}], key="k2")
    assert insert(publication, [{"n": 1}], key="k").json()["version"] == "v1.0"
    assert insert(publication, [{"m": 1}], key="k").status_code == 422


def test_rows_of_a_released_version_cannot_be_undone(publication: Publication) -> None:
    """The key of a request in the version before is known, and its rows stay; new ones can be undone."""
    insert(publication, [{"n": 1}], key="old")
    publication.release(continueStreams=True)
    insert(publication, [{"n": 2}], key="new")
    requests = f"{live(publication)['uri']}/requests"
    assert "v1.0" in publication.refused(400, "DELETE", f"{requests}/old")
    assert publication.done("DELETE", f"{requests}/new")["state"] == "undone"
    assert insert(publication, [{"n": 2}], key="new").status_code == 409
    assert publication.rows("answers", "next") == [{"n": 1}]


def test_keys_leave_with_their_version(publication: Publication) -> None:
    """When the next version is deleted, what it took is gone, and its keys are free; older ones are known."""
    insert(publication, [{"n": 1}], key="old")
    publication.release(continueStreams=True)
    insert(publication, [{"n": 2}], key="new")
    publication.done("DELETE", publication.version("next"))
    publication.done("POST", publication.version("current", "unrelease"))
    assert insert(publication, [{"n": 1}], key="old").headers["idempotency-replayed"] == "true"
    assert "idempotency-replayed" not in insert(publication, [{"n": 2}], key="new").headers
    assert publication.rows("answers", "next") == [{"n": 1}, {"n": 2}]


def test_what_waits_to_be_corrected_goes_along(publication: Publication) -> None:
    """Rows in quarantine and refused requests are found in the next version, and can be replayed there."""
    insert(publication, [{"n": 1}, {"n": "2.0"}], skipInvalidRows=True)
    insert(publication, [{"n": "bad"}], key="refused")
    publication.release(continueStreams=True)
    upload = live(publication)
    assert upload["badRecordsCount"] == 1
    assert live(publication, "v1.0")["badRecordsCount"] == 0
    assert publication.done("GET", f"{upload['uri']}/requests/refused")["state"] == "rejected"
    report = publication.done("POST", f"{upload['uri']}/quarantine/replay", {"updateSchema": True})
    assert (report["rowsAdded"], report["rowsRemaining"]) == (1, 0)
    assert live(publication)["badRecordsCount"] == 0
    assert publication.rows("answers", "v1.0") == [{"n": 1}]
    assert insert(publication, [{"n": "3"}], key="refused").json()["rowsAdded"] == 1
    assert publication.done("GET", f"{upload['uri']}/requests/refused")["state"] == "stored"


def open_again(publication: Publication) -> Any:
    """Opens the next version by hand, and creates the stream in it again."""
    publication.done("POST", f"{publication.dataset()}/versions")
    return publication.add_upload("answers", "live", [], SCHEMA)


@pytest.mark.parametrize("strategy", ["append", "replace"])
def test_a_stream_created_again_goes_on(publication: Publication, strategy: str) -> None:
    """Also after a plain release, and one without the stream: keys, offset token and what waits go along."""
    publication.done("PATCH", publication.table("answers"), {"uploadMergeStrategy": strategy})
    first = insert(publication, [{"n": 1}], key="k", offsetToken="day 1").json()
    insert(publication, [{"n": "2.0"}], key="skips", skipInvalidRows=True)
    insert(publication, [{"n": "bad"}], key="refused")
    began = live(publication)
    publication.release()
    publication.done("POST", f"{publication.dataset()}/versions")
    publication.add_upload("answers", "other", [{"x": 1}])
    publication.release()
    made = open_again(publication)
    assert (made["streamId"], made["numRows"], made["latestOffsetToken"]) == (began["id"], 0, "day 1")
    assert (live(publication)["badRecordsCount"], live(publication, "v1.0")["badRecordsCount"]) == (1, 0)
    again = insert(publication, [{"n": 1}], key="k", offsetToken="day 1")
    assert (again.headers["idempotency-replayed"], again.json()["version"]) == ("true", "v1.0")
    assert again.json() == {**first, "version": "v1.0"}
    assert insert(publication, [{"n": 9}], key="k").status_code == 422
    requests = f"{made['uri']}/requests"
    assert publication.done("GET", f"{requests}/refused")["state"] == "rejected"
    assert "v1.0" in publication.refused(400, "DELETE", f"{requests}/k")
    report = publication.done("POST", f"{made['uri']}/quarantine/replay", {"updateSchema": True})
    assert report["rowsAdded"] == 1
    assert insert(publication, [{"n": "7"}], key="new").json()["rowsAdded"] == 1
    assert [row.get("n") for row in publication.rows("answers", "v1.0")] == [1]
    assert [row.get("n") for row in publication.rows("answers", "next")][-2:] == ["2.0", "7"]


def test_a_request_that_was_undone_before_the_release(publication: Publication) -> None:
    """It stays undone for whoever repeats it, and undoing it once more only tells so."""
    insert(publication, [{"n": 1}])
    insert(publication, [{"n": 2}], key="k")
    undone = publication.done("DELETE", f"{live(publication)['uri']}/requests/k")
    publication.release()
    upload = open_again(publication)
    assert insert(publication, [{"n": 2}], key="k").status_code == 409
    again = publication.done("DELETE", f"{upload['uri']}/requests/k")
    assert (again["state"], again["version"]) == (undone["state"], "v1.0")
    assert publication.rows("answers", "next") == [{"n": 1}]


def test_a_long_insert_goes_on_in_a_stream_created_again(publication: Publication) -> None:
    """What is sent again under its key is passed over, though its rows are in the version before."""
    lines = [f'{{"n":{number}}}\n' for number in range(4)]

    def send(count: int) -> str:
        path = f"{publication.table('answers', '')}/uploads/live/rows?acks=true"
        headers = {"Idempotency-Key": "long", "Content-Type": "application/x-ndjson"}
        return publication.client.post(path, content="".join(lines[:count]), headers=headers).text

    assert '"sequence":3' in send(3)
    publication.release()
    open_again(publication)
    assert '"sequence":4' in send(4)
    assert publication.rows("answers", "next") == [{"n": number} for number in range(4)]


def test_a_deleted_stream_takes_its_own_keys_along(publication: Publication) -> None:
    """Deleted in the next version and created again: keys of rows that are gone are free, no others."""
    insert(publication, [{"n": 1}], key="old")
    for number in (2, 3):
        publication.release(continueStreams=True)
        insert(publication, [{"n": number}], key=f"new{number}")
    publication.done("DELETE", live(publication)["uri"])
    publication.add_upload("answers", "live", [], SCHEMA)
    for key, number, is_known in (("old", 1, True), ("new2", 2, True), ("new3", 3, False)):
        answer = insert(publication, [{"n": number}], key=key)
        assert ("idempotency-replayed" in answer.headers) == is_known
    publication.done("DELETE", publication.version("next"))
    open_again(publication)
    assert "idempotency-replayed" in insert(publication, [{"n": 2}], key="new2").headers
    assert "idempotency-replayed" not in insert(publication, [{"n": 3}], key="new3").headers
    assert publication.rows("answers", "next") == [{"n": 1}, {"n": 2}, {"n": 3}]


def test_a_stream_without_a_name_is_another_in_each_version(publication: Publication) -> None:
    """Nobody has said that it is the stream of before, so nothing of that is known."""
    create = {"type": "stream", "schema": SCHEMA}
    made = publication.done("POST", f"{publication.table('answers')}/uploads", create)
    insert(publication, [{"n": 1}])
    publication.release()
    publication.done("POST", f"{publication.dataset()}/versions")
    again = publication.done("POST", f"{publication.table('answers')}/uploads", create)
    assert (again["name"], again["streamId"]) == (made["name"], again["id"])


def test_a_table_made_anew_has_new_streams(publication: Publication) -> None:
    """A table that is deleted and created again holds none of the rows before, and knows no key of them."""
    insert(publication, [{"n": 1}], key="k")
    publication.release()
    publication.done("POST", f"{publication.dataset()}/versions")
    publication.done("DELETE", publication.table("answers"))
    publication.add_table("answers")
    made = publication.add_upload("answers", "live", [], SCHEMA)
    assert made["streamId"] == made["id"]
    assert "idempotency-replayed" not in insert(publication, [{"n": 1}], key="k").headers
    assert publication.rows("answers", "next") == [{"n": 1}]


def test_every_table_and_stream_goes_on(publication: Publication) -> None:
    """Streams of several tables, also such as take their variables from the rows."""
    publication.add_table("others")
    for name in ("b.csv", "c"):
        publication.add_upload("others", name, [{"x": 1}])
    insert(publication, [{"n": 1}])
    publication.release(continueStreams=True)
    uploads = publication.done("GET", f"{publication.table('others')}/uploads")["results"]
    assert [upload["name"] for upload in uploads] == ["b.csv", "c"]
    answer = publication.done("POST", f"{uploads[0]['uri']}/rows", {"rows": [{"x": 2, "y": "new"}]})
    assert answer["schemaUpdates"][0]["addedVariables"] == [{"name": "y", "type": "string"}]
