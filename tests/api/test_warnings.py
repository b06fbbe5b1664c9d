"""What is ignored in a request is named in X-REDIVIS-WARNING; counts and filters as clients send them."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.api.publishing import Publication
from tests.arrow_streams import table_of
from tests.command_line import rowkeep
from tests.long_producer import LongProducer
from tests.server_process import ServerProcess

WARNING = "X-REDIVIS-WARNING"


@pytest.fixture(scope="module")
def publication(server: ServerProcess) -> Iterator[Publication]:
    """A dataset of an unreleased table `answers` with three rows in the stream `live`."""
    made = Publication(server)
    made.add_table("answers")
    made.add_upload("answers", "live", [{"a": 1}, {"a": 2}, {"a": 3}])
    yield made
    made.close()


def warning_of(response: httpx.Response) -> str | None:
    """The warning of an answer that must be a success."""
    assert response.status_code in (200, 201), response.text
    return response.headers.get(WARNING)


def paths(publication: Publication) -> list[tuple[str, str, Any]]:
    """Requests of every kind: lists, single resources, rows, streams, changes and inserts."""
    table = publication.table("answers")
    return [
        ("GET", publication.dataset(), None),
        ("GET", f"/users/{publication.reference.partition('.')[0]}/datasets", None),
        ("GET", f"{publication.dataset()}/tables", None),
        ("GET", f"{publication.dataset()}/versions", None),
        ("GET", table, None),
        ("HEAD", table, None),
        ("GET", f"{table}/variables", None),
        ("GET", f"{table}/variables/a", None),
        ("GET", f"{table}/variables/a/statistics", None),
        ("GET", f"{table}/uploads", None),
        ("GET", f"{table}/uploads/live", None),
        ("GET", f"{table}/rows", None),
        ("GET", f"{table}/uploads/live/rows", None),
        ("GET", f"{table}/uploads/live/quarantine", None),
        ("POST", f"{table}/readSessions", {}),
        ("POST", f"{table}/uploads/live/rows", {"rows": []}),
        ("PATCH", table, {"description": "said"}),
    ]


def test_parameters_that_mean_nothing_are_named(publication: Publication) -> None:
    """On every kind of route; the request is answered as without them, and without them nothing is said."""
    for method, path, body in paths(publication):
        warning = warning_of(publication.ask(method, f"{path}?limit=2", body))
        assert warning is not None, path
        assert "nothing here" in warning
        assert "limit" in warning
        assert warning_of(publication.ask(method, path, body)) is None, path


def test_it_tells_what_would_mean_something(publication: Publication) -> None:
    """Who writes `limit` finds `maxResults`; what is meant elsewhere only is named too."""
    rows = f"{publication.table('answers')}/rows"
    warning = warning_of(publication.ask("GET", f"{rows}?limit=2&maxResults=1&tail=4"))
    assert warning is not None
    assert "limit, tail" in warning
    assert "maxResults" in warning
    assert len(publication.ask("GET", f"{rows}?limit=2&maxResults=1").text.splitlines()) == 1


def test_odd_names_in_a_header(publication: Publication) -> None:
    """Names come as they can stand in a header, and not all of many."""
    query = "&".join([f"p{number}=1" for number in range(20)])
    warning = warning_of(publication.ask("GET", f"{publication.dataset()}?%0d%0aX-Evil=1&%C3%A4=1&{query}"))
    assert warning is not None
    assert "%0D%0AX-Evil, %C3%A4, p0, p1, p2 and 17 more" in warning


def test_long_inserts(publication: Publication, server: ServerProcess) -> None:
    """Their answer begins with it."""
    uri = f"{publication.table('answers')}/uploads/live"
    with LongProducer(server.url, server.token, uri, limit="2") as producer:
        producer.opened()
        assert "limit" in (producer.response.getheader(WARNING) or "")
        producer.end()


@pytest.mark.parametrize(
    ("path", "body", "named"),
    [
        ("{dataset}", {"visibility": "public"}, "visibility"),
        ("{dataset}/versions/next", {"lable": "x"}, "lable"),
        ("{table}", {"merge_strategy": "replace"}, "merge_strategy"),
        ("{table}/variables/a", {"lable": "A", "unit": "m"}, "lable, unit"),
        ("{table}/variables", {"variables": [{"name": "a", "lable": "A"}]}, "a"),
        ("{dataset}/variables", {"variables": [{"name": "a", "lable": "A"}]}, "a"),
    ],
)
def test_a_change_that_changes_nothing(
    publication: Publication, path: str, body: dict[str, Any], named: str
) -> None:
    """PATCH says so, and names what it ignored."""
    path = path.format(dataset=publication.dataset(), table=publication.table("answers"))
    warning = warning_of(publication.ask("PATCH", path, body))
    assert warning is not None
    assert "Nothing was changed" in warning
    assert named in warning


def test_a_change_that_is_understood_in_part(publication: Publication) -> None:
    """What is ignored is named; null is what clients send for nothing, and the R client's spelling counts."""
    path = f"{publication.table('answers')}/variables/a"
    warning = warning_of(publication.ask("PATCH", path, {"label": "A", "unit": "m"}))
    assert warning is not None
    assert "unit" in warning
    assert "Nothing was changed" not in warning
    assert (
        warning_of(publication.ask("PATCH", path, {"label": "A", "unit": None, "value_labels": []})) is None
    )


@pytest.mark.parametrize("count", ["2", "2.0", "2.00", "0.2e1", "2e0", "2E+0", "2e%2B00"])
def test_whole_numbers_as_clients_write_them(publication: Publication, count: str) -> None:
    """In the query: maxResults of rows and lists, offset of a read stream."""
    table = publication.table("answers")
    assert len(publication.ask("GET", f"{table}/rows?maxResults={count}").text.splitlines()) == 2
    assert len(publication.done("GET", f"{publication.dataset()}/tables?maxResults={count}")["results"]) == 1
    stream = publication.done("POST", f"{table}/readSessions", {})["streams"][0]["id"]
    response = publication.ask("GET", f"/readStreams/{stream}?offset={count}")
    assert table_of(response.content).num_rows == 1


@pytest.mark.parametrize("count", [2, 2.0, "2", "2.0", "2e0"])
def test_whole_numbers_in_a_read_session(publication: Publication, count: object) -> None:
    """maxResults and requestedStreamCount, as numbers or as texts."""
    body = {"maxResults": count, "requestedStreamCount": count}
    session = publication.done("POST", f"{publication.table('answers')}/readSessions", body)
    assert (session["numRows"], len(session["streams"])) == (2, 2)


@pytest.mark.parametrize("count", ["1.5", "-1", "1e-1", "1e30", "many", "1 0", "NaN", "0x2", ""])
def test_numbers_that_are_no_counts(publication: Publication, count: str) -> None:
    """They are refused, in the query and in a body, and so is an empty text."""
    table = publication.table("answers")
    response = publication.ask("GET", f"{table}/rows?maxResults={count}")
    assert response.status_code == 400
    for name in ("maxResults", "requestedStreamCount"):
        assert name in publication.refused(400, "POST", f"{table}/readSessions", {name: count})


def test_datasets_by_label(server: ServerProcess) -> None:
    """Those with one of the labels, to those who see labels: the editors."""
    made = [Publication(server, "data") for _ in range(3)]
    for publication, labels in zip(made, (["one"], ["two", "x,y"], []), strict=True):
        publication.add_table("answers")
        publication.done("PATCH", publication.dataset(), {"labels": labels})
        publication.release()
    names = [publication.reference.partition(".")[2] for publication in made]

    def listed(labels: str, token: str | None = None) -> list[str]:
        answer = made[0].ask("GET", f"/users/{server.user}/datasets?labels={labels}", token=token)
        return [found["name"] for found in answer.json()["results"] if found["name"] in names]

    assert listed("one") == names[:1]
    assert listed("two,one") == names[:2]
    assert listed("one&labels=two") == names[:2]
    assert listed("none") == []
    assert listed("one", token="") == []
    for publication in made:
        publication.close()


def test_members_by_status_and_label(server: ServerProcess, publication: Publication) -> None:
    """Every member is approved and has no label."""
    rowkeep("user", "create", "filtered_member", data_dir=server.data_dir)
    members = f"/organizations/{server.organization}/members"
    publication.done("PUT", f"{members}/filtered_member", {})

    def listed(query: str) -> int:
        response = publication.ask("GET", f"{members}?{query}")
        assert warning_of(response) is None
        return len(response.json()["results"])

    everybody = listed("")
    assert everybody >= 2
    assert listed("statuses=approved") == listed("statuses=pending,approved") == everybody
    assert listed("statuses=pending") == listed("labels=x") == listed("labels=x&statuses=approved") == 0
