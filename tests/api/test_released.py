"""A released version never changes: what is refused, races with a release, reads that began before."""

import concurrent.futures
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from tests import plain_http
from tests.api.publishing import Publication
from tests.arrow_streams import table_of
from tests.server_process import ServerProcess, wait_until

WRITERS = 16


@pytest.fixture
def publication(server: ServerProcess) -> Iterator[Publication]:
    """A dataset with v1.0: the table `answers` with the upload `live` of two rows."""
    made = Publication(server)
    made.publish("answers", "live", [{"a": 1}, {"a": 2}])
    yield made
    made.close()


# Those of rows: without a version in the reference they are for the next one.
ROW_WRITES = ("/uploads", "{upload}", "/rows")
WRITES: list[tuple[str, str, Any]] = [
    ("POST", "{dataset}/tables", {"name": "another"}),
    ("PATCH", "{table}", {"name": "replies"}),
    ("PATCH", "{table}", {"uploadMergeStrategy": "replace"}),
    ("PATCH", "{table}", {"name": "replies", "description": "said"}),
    ("DELETE", "{table}", None),
    ("POST", "{table}/uploads", {"name": "u", "type": "stream"}),
    (
        "POST",
        "{table}/uploads",
        {"name": "live", "type": "stream", "schema": [{"name": "a", "type": "date"}]},
    ),
    ("DELETE", "{upload}", None),
    ("POST", "{upload}/rows", {"rows": [{"a": 3}]}),
    ("POST", "{upload}/rows", {"rows": []}),
    ("POST", "{upload}/rows", {"rows": [{"b": 3}], "updateSchema": True}),
]


@pytest.mark.parametrize("version", ["", "current", "v1.0"])
@pytest.mark.parametrize("has_next", [False, True])
def test_writes_are_refused(publication: Publication, version: str, *, has_next: bool) -> None:
    """Every write to a released version is 400, says where to write instead, and changes nothing."""
    if has_next:
        publication.done("POST", f"{publication.dataset()}/versions")
    table = publication.table("answers", version)
    paths = {"dataset": publication.dataset(version), "table": table, "upload": f"{table}/uploads/live"}
    before = publication.everything("v1.0")
    for method, path, body in WRITES:
        if not version and path.endswith(ROW_WRITES):
            continue  # see test_unversioned_writes.py
        problem = publication.refused(400, method, path.format(**paths), body)
        assert "v1.0" in problem
        assert f"{publication.reference}:next" in problem
    assert publication.everything("v1.0") == before


def test_refused_before_the_body_matters(publication: Publication) -> None:
    """A release is what a writer hears of, not the rows that would not have fitted."""
    path = f"{publication.table('answers', 'v1.0')}/uploads/live/rows"
    assert "released" in publication.refused(400, "POST", path, {"rows": [{"a": "x", "q": 1}, 5]})


def test_inserts_racing_with_a_release(publication: Publication) -> None:
    """Every row that was answered with 201 is in the released version, no other, and none comes later."""
    publication.done("POST", f"{publication.dataset()}/versions")
    uri = publication.add_upload("answers", "race", [])["uri"]
    schema_free = publication.add_upload("answers", "growing", [])["uri"]
    start = threading.Barrier(WRITERS + 1)
    finished = threading.Event()
    started: set[int] = set()

    def write(writer: int) -> tuple[list[str], list[int]]:
        kept: list[str] = []
        refused: list[int] = []
        target = schema_free if writer % 4 == 3 else uri
        with plain_http.client(
            base_url=publication.client.base_url, headers=publication.client.headers
        ) as client:
            start.wait()
            for number in range(10_000):
                name = f"{writer}-{number}"
                row = {"w": name, f"v{number}": 1} if target == schema_free and number < 5 else {"w": name}
                response = client.post(f"{target}/rows", json={"rows": [row, row]})
                if response.status_code == 201:
                    kept += [name, name]
                    started.add(writer)
                else:
                    refused.append(response.status_code)
                    if finished.is_set():
                        break
        return kept, refused

    with concurrent.futures.ThreadPoolExecutor(WRITERS) as pool:
        writers = [pool.submit(write, writer) for writer in range(WRITERS)]
        start.wait()
        wait_until(lambda: set(started) == set(range(WRITERS)))
        tag = publication.release()["tag"]
        first = publication.everything(tag)
        finished.set()
        outcomes = [writer.result() for writer in writers]
    kept = sorted(name for names, _ in outcomes for name in names)
    assert all(names for names, _ in outcomes)
    assert {status for _, statuses in outcomes for status in statuses} <= {400, 404}
    rows = [row["w"] for row in publication.rows("answers", tag) if "w" in row]
    assert sorted(rows) == kept
    assert publication.done("GET", publication.table("answers", tag))["numRows"] == len(kept) + 2
    assert publication.everything(tag) == first


def test_inserts_go_on_in_the_next_version(publication: Publication) -> None:
    """A stream stays with its version: a writer is refused until the next version has one of that name."""
    path = f"{publication.table('answers', 'next')}/uploads/live/rows"
    publication.refused(404, "POST", path, {"rows": [{"a": 3}]})
    publication.done("POST", f"{publication.dataset()}/versions")
    publication.refused(404, "POST", path, {"rows": [{"a": 3}]})  # uploads stay with their version
    publication.add_upload("answers", "live", [{"a": 3}])
    assert publication.done("POST", path, {"rows": [{"a": 4}]})["rowsAdded"] == 1
    assert publication.rows("answers", "v1.0") == [{"a": 1}, {"a": 2}]
    assert publication.rows("answers", "next") == [{"a": 1}, {"a": 2}, {"a": 3}, {"a": 4}]


def opened(publication: Publication, version: str) -> str:
    """The path of the one stream of a new read session."""
    path = f"{publication.table('answers', version)}/readSessions"
    session = publication.done("POST", path, {"requestedStreamCount": 1})
    return f"/readStreams/{session['streams'][0]['id']}"


def read(publication: Publication, stream: str) -> list[int]:
    """The values of `a` that a stream holds."""
    response = publication.ask("GET", stream)
    assert response.status_code == 200, response.text
    values: list[int] = table_of(response.content).column("a").to_pylist()
    return values


def test_sessions_outlive_release_and_unrelease(publication: Publication) -> None:
    """A read session shows the rows of its moment, whatever becomes of the version."""
    publication.done("POST", f"{publication.dataset()}/versions")
    uri = publication.add_upload("answers", "more", [{"a": 3}])["uri"]
    stream = opened(publication, "next")
    publication.done("POST", f"{uri}/rows", {"rows": [{"a": 4}]})
    publication.release()
    assert read(publication, stream) == [1, 2, 3]
    later = opened(publication, "v1.1")
    publication.done("POST", publication.version("current", "unrelease"))
    publication.done("POST", f"{publication.table('answers')}/uploads/more/rows", {"rows": [{"a": 5}]})
    assert read(publication, stream) == [1, 2, 3]
    assert read(publication, later) == [1, 2, 3, 4]


def test_sessions_outlive_the_deletion_of_a_released_version(publication: Publication) -> None:
    """Hiding a version takes no row away: a session goes on, a new one is refused."""
    stream = opened(publication, "v1.0")
    publication.publish("answers", "more", [{"a": 3}])
    publication.done("DELETE", publication.version("v1.0"))
    assert read(publication, stream) == [1, 2]
    publication.refused(404, "POST", f"{publication.table('answers', 'v1.0')}/readSessions", {})


@pytest.mark.parametrize("deleted", ["version", "table", "upload", "dataset"])
def test_sessions_over_rows_that_are_deleted(publication: Publication, deleted: str) -> None:
    """A session keeps its rows until it expires, whatever is deleted; a new one is refused."""
    publication.done("POST", f"{publication.dataset()}/versions")
    uri = publication.add_upload("answers", "more", [{"a": 3}])["uri"]
    stream = opened(publication, "next")
    paths = {
        "version": publication.version("next"),
        "table": publication.table("answers"),
        "upload": uri,
        "dataset": publication.dataset(),
    }
    publication.done("DELETE", paths[deleted])
    assert read(publication, stream) == [1, 2, 3]
    publication.refused(404, "POST", f"{uri}/readSessions", {})
    if deleted != "dataset":
        assert publication.rows("answers", "v1.0") == [{"a": 1}, {"a": 2}]
