"""A key that stands twice in a JSON body is refused by name; in a row the last value counts."""

import json

import pytest

from tests.api.stream import Stream

LINES = "application/x-ndjson"
ROW = '{"count":1,"site":"%s"}'
LARGE = ",".join([ROW % ("x" * 1_000)] * 1_500)  # it is decoded in another process


@pytest.mark.parametrize("rows", ['{"count":1}', '{"count":"odd"}', ROW % '],\\"rows\\":[', LARGE])
@pytest.mark.parametrize(
    ("body", "key"),
    [
        ('{"rows":[%s],"rows":[%s]}', "rows"),
        ('{"rows":[],"rows":[%s]}', "rows"),
        ('{"validateOnly":true,"rows":[%s],"validateOnly":false}', "validateOnly"),
        ('{"rows":[%s],"offsetToken":"a","offsetToken":"]"}', "offsetToken"),
    ],
)
def test_an_insert_says_everything_once(stream: Stream, body: str, key: str, rows: str) -> None:
    """Or it is refused as a whole, whatever the rows are."""
    refused = stream.insert(body.replace("%s", rows).encode())
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_request_error")
    assert f"the key `{key}` twice" in refused.json()["error_description"]
    assert stream.row_count() == 0


@pytest.mark.parametrize("query", ["validateOnly=true&validateOnly=false", "offsetToken=a&offsetToken=b"])
def test_the_query_says_everything_once_too(stream: Stream, query: str) -> None:
    """What stands in the body or in the query is one envelope; the same said twice is no question."""
    path = f"{stream.upload_uri}/rows?{query}"
    refused = stream.client.post(path, content=b'{"count":1}\n', headers={"Content-Type": LINES})
    assert (refused.status_code, "twice" in refused.json()["error_description"]) == (400, True)
    name = query.partition("=")[0]
    same = path.replace(query, "&".join([query.partition("&")[0]] * 2))
    taken = stream.client.post(same, content=b'{"count":1}\n', headers={"Content-Type": LINES})
    assert taken.status_code in (200, 201), name


def test_a_request_has_one_key(stream: Stream) -> None:
    """With two it could be a repeat of either."""
    keys = [("Idempotency-Key", "a"), ("Idempotency-Key", "b")]
    refused = stream.client.post(f"{stream.upload_uri}/rows", json={"rows": [{"count": 1}]}, headers=keys)
    assert (refused.status_code, "Idempotency-Key" in refused.json()["error_description"]) == (400, True)
    again = stream.client.post(
        f"{stream.upload_uri}/rows", json={"rows": [{"count": 1}]}, headers=[keys[0]] * 2
    )
    assert again.status_code == 201


def test_in_a_row_the_last_value_counts(stream: Stream) -> None:
    """As JSON and as lines, strictly and leniently, small and large, and in a long insert."""
    row = '{"count":1,"site":"a","count":%s,"site":"%s"}'
    count = 0
    for value in ("2", "2.0"):
        for filler in ("b", "b" * 600_000):
            rows = [row % (value, filler)] * 2
            assert stream.insert(('{"rows":[' + ",".join(rows) + "]}").encode()).status_code == 201
            lines = ("\n".join(rows) + "\n").encode()
            for query in ("", "?acks=true"):
                path = f"{stream.upload_uri}/rows{query}"
                done = stream.client.post(path, content=lines, headers={"Content-Type": LINES})
                assert done.status_code in (200, 201), done.text
            count += 6
    shown = [(row["count"], row["site"][:1]) for row in stream.rows()]
    assert shown == [(2, "b")] * count


@pytest.mark.parametrize(
    ("path", "body", "key"),
    [
        ("{table}/uploads", '{"name":"a","type":"stream","name":"b"}', "name"),
        (
            "{table}/uploads",
            '{"name":"a","type":"stream","schema":[{"name":"a","type":"date","name":"b"}]}',
            "name",
        ),
        ("{table}/uploads", '{"type":"stream","metadata":{"a":{"label":"A"},"a":{"label":"B"}}}', "a"),
        (
            "{dataset}/versions/next/release",
            '{"continueStreams":true,"continueStreams":false}',
            "continueStreams",
        ),
        ("{dataset}/versions/next/release", '{"release_notes":"a","releaseNotes":"b"}', "releaseNotes"),
        ("{upload}/quarantine/replay", '{"updateSchema":true,"updateSchema":false}', "updateSchema"),
        ("/queries", '{"query":"SELECT 1","query":"SELECT 2"}', "query"),
    ],
)
def test_other_requests_too(stream: Stream, path: str, body: str, key: str) -> None:
    """Wherever it stands in the body, and in either of the spellings that a key has."""
    url = path.format(table=stream.table_uri, dataset=stream.dataset_uri, upload=stream.upload_uri)
    answer = stream.client.post(url, content=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, json.loads(answer.content)["error"]) == (400, "invalid_request_error")
    assert f"the key `{key}` twice" in answer.json()["error_description"]
