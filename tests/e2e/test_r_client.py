"""The R client's requests, replayed byte for byte as R sends them. Source: contract 6.2, 1.2-1.5, 4.5.1.

R itself is not needed: what counts is how `utils::URLencode`, jsonlite, httr, httr2 and base R's `url()`
put a request on the wire, and what the client then reads of the answer.
"""

import http.client
import itertools
import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote, urlsplit

import pyarrow
import pytest

from tests.api.stream import ALL_TYPES
from tests.arrow_streams import arrow_batches
from tests.server_process import ServerProcess, wait_until

USER_AGENT = "redivis-r/0.12.12 (x86_64-pc-linux-gnu; R/4.5.1)"
# What URLencode(reserved = FALSE) leaves as it is.
_encoded = re.compile(rb"[^\]\[!$&'()*+,;=:/?@#A-Za-z0-9._~-]")
_numbers = itertools.count(1)


def url_encode(text: str) -> str:
    """`utils::URLencode(text)`: what has been encoded already is left alone."""
    if re.search(r"%[0-9A-Fa-f]{2}", text):
        return text
    return _encoded.sub(lambda match: b"%%%02X" % match[0][0], text.encode()).decode()


class Reply:
    """An answer as the client looks at it."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.status = response.status
        self.headers = {name.lower(): value for name, value in response.getheaders()}
        self.body = response.read()

    @property
    def json(self) -> Any:
        """The body. R takes it for JSON by its type alone."""
        assert self.headers["content-type"].startswith("application/json"), self.body
        return json.loads(self.body)

    @property
    def head_error(self) -> Any:
        """What a HEAD request says went wrong."""
        assert self.body == b""
        return json.loads(unquote(self.headers["x-redivis-error-payload"]))


class R:
    """Sends what R sends."""

    def __init__(self, server: ServerProcess) -> None:
        self.owner = server.user
        self.organization = server.organization
        self._host = urlsplit(server.url).netloc
        self._token = server.token

    def send(self, method: str, path: str, body: str | None = None, **headers: str) -> Reply:
        """One request with these headers and no others."""
        connection = http.client.HTTPConnection(self._host, timeout=30)
        connection.putrequest(method, f"/api/v1{path}", skip_accept_encoding=True)
        content = None if body is None else body.encode()
        if content is not None or method.upper() in ("POST", "PATCH"):
            headers["Content-Length"] = str(len(content or b""))
        if content is not None:
            headers["Content-Type"] = "application/json"
        for name, value in {"Authorization": f"Bearer {self._token}", "Accept": "*/*", **headers}.items():
            connection.putheader(name, value)
        connection.endheaders(content)
        reply = Reply(connection.getresponse())
        connection.close()
        return reply

    def request(self, method: str, path: str, body: str | None = None) -> Reply:
        """`make_request`: httr2 over curl. The path is encoded, whether it was before or not."""
        headers = {"User-Agent": USER_AGENT, "Accept-Encoding": "deflate, gzip"}
        return self.send(method, url_encode(path), body, **headers)

    def url(self, path: str) -> Reply:
        """`url(..., headers = )`: base R, which asks for no encoding."""
        return self.send("GET", path, **{"User-Agent": USER_AGENT})

    def made(self, path: str, body: str) -> dict[str, Any]:
        """Creates something."""
        reply = self.request("POST", path, body)
        assert reply.status == 201, reply.body
        created: dict[str, Any] = reply.json
        return created


@pytest.fixture
def r(server: ServerProcess) -> R:
    """R beside the server."""
    return R(server)


@pytest.fixture
def dataset(r: R) -> Iterator[dict[str, Any]]:
    """A dataset as R creates it."""
    name = f"Maße & Gewichte ({next(_numbers)})"
    body = json.dumps({"name": name, "publicAccessLevel": "none"}, ensure_ascii=False)
    made = r.made(f"/users/{r.owner}/datasets", body)
    yield made
    deleted = r.request("DELETE", made["uri"].rpartition(":")[0])
    assert (deleted.status, deleted.body) == (200, b"OK")


@pytest.fixture
def table(r: R, dataset: dict[str, Any]) -> dict[str, Any]:
    """A table as R creates it."""
    body = '{"name":"All of it","uploadMergeStrategy":"append","isFileIndex":false}'
    return r.made(f"{dataset['uri']}/tables", body)


@pytest.fixture
def upload(r: R, table: dict[str, Any]) -> dict[str, Any]:
    """A typed stream as R creates it: every key, with nulls."""
    schema = json.dumps(ALL_TYPES)
    body = (
        f'{{"name":"s.1","type":"stream","schema":{schema},"metadata":null,"hasHeaderRow":true,'
        '"skipBadRecords":false,"hasQuotedNewlines":null,"allowJaggedRows":false,"quoteCharacter":null,'
        '"escapeCharacter":null,"nullMarkers":null,"delimiter":null,"tempUploadId":null,'
        '"transferSpecification":null}'
    )
    return r.made(f"{table['uri']}/uploads", body)


@pytest.mark.parametrize("ending", ["", ":next"])
def test_references_as_r_encodes_them(r: R, dataset: dict[str, Any], ending: str) -> None:
    """A name with letters of any kind and raw reserved characters is found, encoded once or "twice"."""
    path = f"/datasets/{url_encode(f'{r.owner}.' + dataset['name'] + ending)}"
    assert "%20&%20" in path
    assert r.request("GET", path).json["id"] == dataset["id"]
    assert r.request("GET", dataset["uri"]).json["version"]["tag"] == "next"


def test_exists(r: R, dataset: dict[str, Any], table: dict[str, Any], upload: dict[str, Any]) -> None:
    """HEAD says what exists, and what not with a payload that R can decode."""
    present = [dataset["uri"], table["uri"], upload["uri"], f"{table['uri']}/uploads/s_1"]
    present.append(f"{table['uri']}/variables/SITE")
    for path in present:
        reply = r.request("HEAD", path)
        assert (reply.status, reply.body) == (200, b""), path
    for path in (
        f"/datasets/{r.owner}.nowhere",
        f"{table['uri']}/uploads/none",
        f"{table['uri']}/variables/none",
    ):
        reply = r.request("HEAD", path)
        assert reply.status == reply.head_error["status"] == 404
        assert reply.head_error["error"] == "not_found_error"
        assert "+" not in reply.headers["x-redivis-error-payload"]
        assert isinstance(reply.head_error["error_description"], str)


def test_owner_kinds(r: R) -> None:
    """R asks with HEAD whether an owner is an organization: a user is none."""
    paths = [
        f"/organizations/{name}/datasets?maxResults=1" for name in (r.organization, r.owner, "nobody_here")
    ]
    assert [r.request("HEAD", path).status for path in paths] == [200, 404, 404]


def test_current_user(r: R) -> None:
    """`redivis::current_user()` reads the name."""
    assert r.request("GET", "/users/me").json["name"] == r.owner


def test_older_clients_send_methods_in_lower_case(r: R, upload: dict[str, Any]) -> None:
    """httr sends `post` as it was written."""
    reply = r.request("post", f"{upload['uri']}/readSessions", '{"requestedStreamCount":1,"format":"arrow"}')
    assert reply.json["streams"]
    assert r.request("post", f"{upload['uri']}/rows", '{"rows":[{"count":1}]}').status == 201
    assert r.request("get", upload["uri"]).json["numRows"] == 1


def test_older_clients_double_the_slash(r: R, dataset: dict[str, Any], table: dict[str, Any]) -> None:
    """`list_tables` and `create_next_version` once put a slash before a path that had one."""
    reply = r.request("GET", f"/{dataset['uri']}/tables?maxResults=100")
    assert [item["name"] for item in reply.json["results"]] == [table["name"]]
    doubled, single = (r.request("POST", f"{slash}{dataset['uri']}/versions") for slash in ("/", ""))
    assert (doubled.status, doubled.json) == (single.status, single.json)
    assert doubled.status == 400
    assert "has an unreleased version already" in doubled.json["error_description"]


def test_pages_end_with_null(r: R, table: dict[str, Any], upload: dict[str, Any]) -> None:
    """R goes on until `nextPageToken` is null."""
    page = r.request("GET", f"{table['uri']}/variables?maxResults=5").json
    rest = r.request("GET", f"{table['uri']}/variables?pageToken={page['nextPageToken']}&maxResults=5").json
    assert [item["name"] for item in page["results"] + rest["results"]] == [
        item["name"] for item in ALL_TYPES
    ]
    assert rest["nextPageToken"] is None


def test_keys_in_snake_case(
    r: R, dataset: dict[str, Any], table: dict[str, Any], upload: dict[str, Any]
) -> None:
    """R's own spelling of properties counts: public_access_level, value_labels, upload_merge_strategy."""
    changed = r.request("PATCH", dataset["uri"], '{"public_access_level":"overview"}').json
    assert changed["publicAccessLevel"] == "overview"
    labels = '{"label":"Where","value_labels":[{"value":"a","label":"A"}]}'
    described = r.request("PATCH", f"{table['uri']}/variables/site", labels).json
    assert described["valueLabels"] == [{"value": "a", "label": "A"}]
    assert described["uri"].endswith("/variables/site")
    replaced = r.request("PATCH", table["uri"], '{"upload_merge_strategy":"replace"}').json
    assert replaced["uploadMergeStrategy"] == "replace"


def test_rows_as_jsonlite_writes_them(r: R, table: dict[str, Any], upload: dict[str, Any]) -> None:
    """Numbers with exponents, dates, times with a space, factors and NA come in as what they mean."""
    rows = (
        '{"rows":[{"site":"Zürich","count":1e+15,"temperature":1e-05,"valid":true,"day":"2020-02-29",'
        '"measured_at":"2020-02-29 01:02:03","local_time":"01:02:03","position":"POINT (10 20)"},'
        '{"site":"NA","count":100000,"temperature":20.1235,"valid":false,"measured_at":"2020-02-29"},'
        '{"site":null,"count":null,"temperature":-3,"valid":null},{}]}'
    )
    reply = r.request("POST", f"{upload['uri']}/rows", rows)
    assert reply.status == 201, reply.body
    assert reply.json["rowsAdded"] == 4
    lines = r.request("GET", f"{table['uri']}/rows").body.splitlines()
    first, second, third, last = (json.loads(line) for line in lines)
    assert first == {
        "site": "Zürich",
        "count": 10**15,
        "temperature": 1e-05,
        "valid": True,
        "day": "2020-02-29",
        "measured_at": "2020-02-29 01:02:03",
        "local_time": "01:02:03",
        "position": "POINT (10 20)",
    }
    assert (second["site"], second["count"], second["temperature"]) == ("NA", 100000, 20.1235)
    assert second["measured_at"] == "2020-02-29 00:00:00"
    assert third["temperature"] == -3
    assert set(last.values()) == {None}


def test_refused_rows(r: R, upload: dict[str, Any]) -> None:
    """An error is JSON with a status, a code and a description, which R puts into its condition."""
    reply = r.request("POST", f"{upload['uri']}/rows", '{"rows":[{"count":"NaN"}]}')
    assert reply.status == reply.json["status"] == 400
    assert reply.json["error"] == "invalid_request_error"
    assert 'variable "count"' in reply.json["error_description"]


def read(r: R, parent: dict[str, Any], session: str, offset: int = 0) -> list[pyarrow.RecordBatch]:
    """The batches of the streams of a session, as `to_tibble` reads them; each ends with the sentinel."""
    told = r.request("POST", f"{parent['uri']}/readSessions", session).json
    assert isinstance(told["numRows"], int)
    batches: list[pyarrow.RecordBatch] = []
    for stream in told["streams"]:
        reply = r.url(f"/readStreams/{stream['id']}?offset={offset}&eosSentinel=true")
        assert reply.status == 200
        assert "content-encoding" not in reply.headers
        *data, sentinel = arrow_batches(reply.body)
        assert sentinel.num_rows == 0
        assert all(batch.num_rows for batch in data)
        batches += data
    return batches


@pytest.mark.parametrize("kind", ["table", "upload"])
def test_reading(r: R, table: dict[str, Any], upload: dict[str, Any], kind: str) -> None:
    """Read streams come plain, end with one empty batch and go on from any offset."""
    rows = json.dumps({"rows": [{"count": number, "site": str(number)} for number in range(100)]})
    assert r.request("POST", f"{upload['uri']}/rows", rows).status == 201
    parent = table if kind == "table" else upload
    listed = r.request("GET", f"{parent['uri']}/variables?maxResults=1000").json["results"]
    batches = read(r, parent, '{"requestedStreamCount":2,"format":"arrow"}')
    assert batches[0].schema.names == [variable["name"] for variable in listed]
    assert str(batches[0].schema.field("measured_at").type) == "timestamp[us]"
    assert [count for batch in batches for count in batch["count"].to_pylist()] == list(range(100))
    some = '{"requestedStreamCount":1,"format":"arrow","maxResults":20,"selectedVariables":["COUNT"]}'
    (batch,) = read(r, parent, some, offset=15)
    assert batch.to_pydict() == {"count": list(range(15, 20))}


def test_reading_nothing(r: R, table: dict[str, Any], upload: dict[str, Any]) -> None:
    """Without rows there is still a stream, of which only the sentinel comes."""
    assert read(r, table, '{"requestedStreamCount":2,"format":"arrow"}') == []


def test_versions(r: R, dataset: dict[str, Any], table: dict[str, Any], upload: dict[str, Any]) -> None:
    """R releases with `release_notes`, null or text, and goes on by name, without the reference id."""
    name = url_encode(f"{r.owner}.{dataset['name']}")
    assert r.request("POST", f"{upload['uri']}/rows", '{"rows":[{"count":1}]}').status == 201
    released = r.request("POST", f"{dataset['uri']}/versions/next/release", '{"release_notes":null}').json
    got = r.request("GET", released["datasetUri"]).json
    assert (got["version"]["tag"], got["nextVersion"]) == ("v1.0", None)
    assert r.request("POST", f"{got['uri']}/versions").status == 201
    following = r.request("GET", f"/datasets/{name}:next").json
    table_name = url_encode(table["name"])
    more = '{"name":"more","type":"stream","schema":[{"name":"count","type":"integer"}]}'
    second = r.made(f"/tables/{name}:next.{table_name}/uploads", more)
    assert r.request("POST", f"{second['uri']}/rows", '{"rows":[{"count":2}]}').status == 201
    noted = r.request("POST", f"{following['uri']}/versions/next/release", '{"release_notes":"more"}').json
    assert r.request("GET", noted["datasetUri"]).json["version"]["tag"] == "v1.1"
    version = r.request("GET", f"/datasets/{name}/versions/v1.1").json
    assert (version["releaseNotes"], version["previousVersion"]["tag"]) == ("more", "v1.0")
    # `unrelease` posts to the wrong path: an error, not a release.
    mistaken = r.request("POST", f"/datasets/{name}/versions/current/release")
    assert mistaken.status == mistaken.json["status"] == 400


def test_statistics(r: R, table: dict[str, Any], upload: dict[str, Any]) -> None:
    """`get_statistics` polls until they are there."""
    assert r.request("POST", f"{upload['uri']}/rows", '{"rows":[{"count":1},{"count":3}]}').status == 201
    told: dict[str, Any] = {}

    def is_done() -> bool:
        told.update(r.request("GET", f"{table['uri']}/variables/count/statistics").json)
        return told["status"] not in ("running", "queued")

    wait_until(is_done)
    assert (told["status"], told["mean"]) == ("completed", 2.0)
