"""Downloads of the R client, replayed byte for byte: `table$download()`, and reads of large results.

R creates the export, asks for it until it is completed, and fetches its parts over curl, from where another
connection broke off. Source: contract 4.10, 6.2. (The JavaScript client 0.3.10 has no downloads.)
"""

import io
import time
from typing import Any

import pyarrow.parquet as pq
import pytest

from tests.e2e.test_r_client import R, Reply
from tests.e2e.test_r_client import dataset as dataset
from tests.e2e.test_r_client import r as r
from tests.e2e.test_r_client import table as table
from tests.e2e.test_r_client import upload as upload

ROWS = '{"rows":[{"site":"a","count":1},{"site":"b","count":2},{"site":"ü"}]}'


def completed(r: R, uri: str, format_: str) -> dict[str, Any]:
    """An export as R waits for it: what it reads of each answer is there."""
    found = r.request("POST", f"{uri}/exports", f'{{"format":"{format_}"}}').json
    deadline = time.monotonic() + 60
    while found["status"] != "completed":
        assert found["status"] in ("queued", "running"), found
        assert 0 <= found["percentCompleted"] <= 100
        assert time.monotonic() < deadline
        time.sleep(0.05)
        found = r.request("GET", found["uri"]).json
    assert found["table"]["name"]
    assert found["size"] > 0
    return dict(found)


def part(r: R, export: dict[str, Any], number: int, **headers: str) -> Reply:
    """A file of an export, as curl asks for it."""
    return r.send("GET", f"{export['uri']}/download?filePart={number}", **headers)


@pytest.mark.parametrize("format_", ["csv", "parquet", "ndjson"])
@pytest.mark.parametrize("of_upload", [False, True])
def test_a_download(
    r: R, table: dict[str, Any], upload: dict[str, Any], format_: str, of_upload: bool
) -> None:
    """Each part has its length, its name and its digest, and all rows are in them."""
    assert r.request("POST", f"{upload['uri']}/rows", ROWS).status == 201
    export = completed(r, (upload if of_upload else table)["uri"], format_)
    replies = [part(r, export, number) for number in range(export["fileCount"])]
    assert [reply.status for reply in replies] == [200]
    [reply] = replies
    assert int(reply.headers["content-length"]) == len(reply.body) == export["size"]
    assert reply.headers["content-disposition"].startswith("attachment; filename=")
    assert reply.headers["x-goog-hash"].startswith("md5=")
    if format_ == "parquet":
        found = pq.read_table(io.BytesIO(reply.body)).to_pylist()
        assert [(row["site"], row["count"]) for row in found] == [("a", 1), ("b", 2), ("ü", None)]
    else:
        assert "ü".encode() in reply.body


def test_a_download_that_broke_off_goes_on(r: R, table: dict[str, Any], upload: dict[str, Any]) -> None:
    """Curl asks for the rest by `Range`, and gets that and no more."""
    assert r.request("POST", f"{upload['uri']}/rows", ROWS).status == 201
    export = completed(r, table["uri"], "csv")
    whole = part(r, export, 0).body
    rest = part(r, export, 0, Range=f"bytes={len(whole) // 2}-")
    assert (rest.status, rest.body) == (206, whole[len(whole) // 2 :])
    first = part(r, export, 0, Range="bytes=0-9")
    assert (first.status, first.body) == (206, whole[:10])
    assert part(r, export, 1).status == 400


def test_a_query_is_read_through_its_export(r: R, table: dict[str, Any], upload: dict[str, Any]) -> None:
    """As R does it for results beyond a gigabyte."""
    assert r.request("POST", f"{upload['uri']}/rows", ROWS).status == 201
    text = f"SELECT COUNT(*) AS n FROM `{table['qualifiedReference']}`"
    query = r.request("POST", "/queries", f'{{"query":"{text}"}}').json
    assert query["status"] == "completed", query
    asked = r.request("POST", f"{query['uri']}/exports", '{"format":"parquet"}').json
    deadline = time.monotonic() + 60
    while asked["status"] != "completed":
        assert time.monotonic() < deadline
        asked = r.request("GET", asked["uri"]).json
    assert pq.read_table(io.BytesIO(part(r, asked, 0).body)).to_pylist() == [{"n": 3}]
