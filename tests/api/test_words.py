"""What a person meets by mistake says what to do next."""

from collections.abc import Iterator

import pytest

from tests import plainhttp
from tests.api.stream import Stream
from tests.serverprocess import ServerProcess


@pytest.fixture(scope="module")
def stream(server: ServerProcess) -> Iterator[Stream]:
    """A stream that takes an integer."""
    made = Stream(server.url, server.token, [{"name": "id", "type": "integer"}], server.user)
    yield made
    made.close()


def test_a_wrong_token_says_where_tokens_come_from(server: ServerProcess) -> None:
    """Who has no good token learns who makes them."""
    answer = plainhttp.request("GET", f"{server.url}/users/me", headers={"authorization": "Bearer wrong"})
    assert answer.status_code == 401
    assert "rowkeep token create" in answer.json()["error_description"]


def test_an_unknown_upload_names_those_there_are(stream: Stream) -> None:
    """Who mistypes an upload sees the uploads of the table and how one is made."""
    answer = stream.client.post(f"{stream.table_uri}/uploads/live/rows", json={"rows": []})
    assert answer.status_code == 404
    said = answer.json()["error_description"]
    assert "It has s." in said
    assert '{"name": "live", "type": "stream"}' in said


LINES = [
    b'{"id": 1}\n{"id": 2}\n',
    b'{"id": 1}\r\n{"id": 2}',
    b'{"rows": 1}\n{"rows": 2}',
    b'{"id": 1}\n{"id"',
]


@pytest.mark.parametrize("body", LINES)
def test_lines_sent_as_one_object_are_recognized(stream: Stream, body: bytes) -> None:
    """Rows of JSON, one a line, under the media type of one object: the error names the right one."""
    answer = stream.insert(body)
    assert answer.status_code == 400
    assert "application/x-ndjson" in answer.json()["error_description"]
    assert stream.row_count() == 0


@pytest.mark.parametrize("body", [b'{"id": 1}', b"{}"])
def test_a_row_without_its_frame_is_shown_both_forms(stream: Stream, body: bytes) -> None:
    """A body without `rows` is shown what one looks like, and the other form."""
    said = stream.insert(body).json()["error_description"]
    assert '{"rows": [' in said
    assert "application/x-ndjson" in said


@pytest.mark.parametrize("body", [b'{"rows": [\n{"id": 1},\n{"id": x}\n]}', b'{"rows":\n{"id": 1}'])
def test_broken_json_is_not_taken_for_lines(stream: Stream, body: bytes) -> None:
    """One object over several lines that is broken is told as broken JSON."""
    assert "ndjson" not in stream.insert(body).json()["error_description"]
