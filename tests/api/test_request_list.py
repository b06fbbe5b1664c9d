"""The list of an upload's keyed requests, newest first, in pages."""

from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.api.stream import Stream
from tests.api.test_receipts import Json, asked, inserted, stream

__all__ = ["stream"]  # a fixture, shared with the tests of receipts


def listed(stream: Stream, **query: int | str) -> tuple[list[Json], str | None]:
    """A page of an upload's requests, and the token of the next one."""
    response = stream.client.get(f"{stream.upload_uri}/requests", params=query)
    assert response.status_code == 200, response.text
    page: Json = response.json()
    assert page["kind"] == "insertRequestList"
    return page["results"], page["nextPageToken"]


def all_listed(stream: Stream, page_size: int) -> list[Json]:
    """All requests of an upload, page by page."""
    found, token = listed(stream, maxResults=page_size)
    while token is not None:
        more, token = listed(stream, maxResults=page_size, pageToken=token)
        found += more
    return found


@pytest.mark.parametrize("page_size", [1, 2, 3, 100])
def test_the_list_of_requests(stream: Stream, page_size: int) -> None:
    """Newest first, each once whatever the size of pages; each as it is by itself."""
    assert listed(stream) == ([], None)
    for number in range(6):
        inserted(stream, [{"id": number}], f"k/{number}")
    inserted(stream, [{"id": 9}])  # without a key
    assert asked(stream, "k%2F2", "DELETE").status_code == 200
    refused = stream.insert({"rows": [{"id": "many"}]}, **{"Idempotency-Key": "refused"})
    assert refused.status_code == 400
    found = all_listed(stream, page_size)
    keys = [request["key"] for request in found]
    assert keys[0] == "refused"
    assert sorted(keys[1:]) == [f"k/{number}" for number in range(6)]
    times = [request["time"] for request in found]
    assert times == sorted(times, reverse=True)
    states = {request["key"]: request["state"] for request in found}
    assert (states.pop("refused"), states.pop("k/2"), set(states.values())) == (
        "rejected",
        "undone",
        {"stored"},
    )
    assert found == [asked(stream, request["key"].replace("/", "%2F")).json() for request in found]


def test_requests_of_one_time_are_listed_once(stream: Stream) -> None:
    """Groups of a long insert and requests of one commit share a time; pages still leave none out."""
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda number: inserted(stream, [{"id": number}], f"k{number}"), range(64)))
    keys = [request["key"] for request in all_listed(stream, 5)]
    assert sorted(keys) == sorted(f"k{number}" for number in range(64))


def test_the_list_is_for_editors(stream: Stream) -> None:
    """Whoever may not edit the dataset sees none of it."""
    assert httpx.get(f"{stream.client.base_url}{stream.upload_uri}/requests").status_code == 401
