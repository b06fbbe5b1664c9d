"""Values at the edges, over the wire: what is taken, what is refused, and in which words."""

from collections.abc import Iterator
from typing import Any

import httpx
import pyarrow
import pytest

from tests.api.stream import Stream
from tests.server_process import ServerProcess

LINES = {"Content-Type": "application/x-ndjson"}


@pytest.fixture
def free(server: ServerProcess) -> Iterator[Stream]:
    """A stream without a schema, in a table of its own."""
    stream = Stream(server.url, server.token, None, server.user)
    yield stream
    stream.close()


def types_of(stream: Stream, uri: str) -> dict[str, str]:
    """The variables of a table or an upload."""
    found = stream.client.get(f"{uri}/variables").json()["results"]
    return {variable["name"]: variable["type"] for variable in found}


def another(stream: Stream, **draft: Any) -> httpx.Response:
    """One more stream in the same table."""
    return stream.client.post(
        f"{stream.table_uri}/uploads", json={"name": "other", "type": "stream", **draft}
    )


def test_every_defect_of_a_value_is_an_error_of_its_row(stream: Stream) -> None:
    """It is named, counted and skipped on request, in a JSON body as in one of lines."""
    rows = [
        b'{"site":"a","count":NaN}', b'{"site":"\\ud800"}', b'{"site":"\xff"}', b'{"count":01}',
        b'{"count":1}', b'{"temperature":9007199254740993}',
    ]  # fmt: skip
    body = b'{"rows":[' + b",".join(rows) + b"]}"
    refused = stream.insert(body)
    assert refused.status_code == 400
    found = [(error["row"], error["variable"]) for error in refused.json()["errors"]]
    assert found == [(0, "count"), (1, "site"), (2, "site"), (3, "count"), (5, "temperature")]
    lines = stream.client.post(f"{stream.upload_uri}/rows", content=b"\n".join(rows), headers=LINES)
    assert lines.json() == refused.json()
    url = f"{stream.upload_uri}/rows?skipInvalidRows=true"
    skipped = stream.client.post(url, content=body, headers={"Content-Type": "application/json"}).json()
    assert (skipped["rowsAdded"], skipped["rowsSkipped"]) == (1, 5)
    assert skipped["errors"] == refused.json()["errors"]
    assert [row["count"] for row in stream.rows()] == [1]


def test_what_loses_nothing_is_taken(stream: Stream) -> None:
    """Whole minutes, zeros beyond microseconds, SRID 4326, numbers as text, a byte order mark."""
    row = (
        '{"site":1.50,"measured_at":"2026-01-31T12:00","local_time":"09:30",'
        '"position":"SRID=4326;POINT(10 20)"}'
    )
    assert stream.insert(b'\xef\xbb\xbf{"rows":[' + row.encode() + b"]}").status_code == 201
    second = b'{"site":true,"measured_at":"2026-01-31 12:00:00.1234560000"}'
    lines = b"\xef\xbb\xbf" + second + b"\r\n\xef\xbb\xbf" + row.encode()
    assert stream.client.post(f"{stream.upload_uri}/rows", content=lines, headers=LINES).status_code == 201
    found = [
        [row[name] for name in ("site", "measured_at", "local_time", "position")] for row in stream.rows()
    ]
    first = ["1.50", "2026-01-31 12:00:00", "09:30:00", "POINT(10 20)"]
    assert found == [first, ["true", "2026-01-31 12:00:00.123456", None, None], first]


def test_integers_keep_their_digits(free: Stream) -> None:
    """Beyond 64 bits and beyond doubles a variable of a stream without a schema becomes a string."""
    free.insert(b'{"rows":[{"a":1,"b":1.5,"c":184467440737095516160}]}')
    free.insert(b'{"rows":[{"a":184467440737095516160,"b":9007199254740993,"c":2}]}')
    assert types_of(free, free.upload_uri) == dict.fromkeys("abc", "string")
    assert free.rows() == [
        {"a": "1", "b": "1.5", "c": "184467440737095516160"},
        {"a": "184467440737095516160", "b": "9007199254740993", "c": "2"},
    ]


def test_rows_of_nothing_but_null_can_be_read(free: Stream) -> None:
    """Their variables are strings until a value comes; a row without keys is refused where none is known."""
    assert free.insert({"rows": [{}]}).status_code == 400
    assert free.insert({"rows": [{"a": None, "b": None}, {"a": None}]}).status_code == 201
    assert types_of(free, free.table_uri) == {"a": "string", "b": "string"}
    assert free.rows() == [{"a": None, "b": None}] * 2
    arrow = free.client.get(f"{free.table_uri}/rows?format=arrow").content
    assert pyarrow.ipc.open_stream(arrow).read_all().num_rows == 2
    told = free.insert({"rows": [{"a": 5}]}).json()["schemaUpdates"]
    assert told[0]["updatedVariables"] == [{"name": "a", "type": "integer", "previousType": "string"}]
    assert types_of(free, free.table_uri) == {"a": "integer", "b": "string"}
    assert free.rows() == [{"a": None, "b": None}] * 2 + [{"a": 5, "b": None}]


def test_an_upload_without_a_schema_takes_the_types_of_its_table(stream: Stream) -> None:
    """Names that the table has keep its types; only a request that says updateSchema widens them."""
    before = types_of(stream, stream.table_uri)
    uri = another(stream).json()["uri"]
    rows = [{"DAY": "2026-1-31", "measured_at": "2026-01-31T12:00", "count": 1.0, "site": 5, "own": "x"}]
    assert stream.client.post(f"{uri}/rows", json={"rows": rows}).status_code == 201
    assert types_of(stream, stream.table_uri) == before | {"own": "string"}
    wrong = {"rows": [{"day": "soon"}]}
    refused = stream.client.post(f"{uri}/rows", json=wrong).json()
    assert refused["errors"][0]["variable"] == "day"
    lines = stream.client.post(f"{uri}/rows", content=b'{"day":"soon"}', headers=LINES)
    assert lines.json() == refused
    assert stream.client.post(f"{uri}/rows", json={**wrong, "updateSchema": True}).status_code == 201
    assert types_of(stream, stream.table_uri)["day"] == "string"


@pytest.mark.parametrize("strategy", ["append", "replace"])
def test_the_types_of_the_version_before_count(free: Stream, strategy: str) -> None:
    """A correction in the next version takes the types that were released."""
    free.client.patch(free.table_uri, json={"uploadMergeStrategy": strategy})
    free.insert({"rows": [{"n": 1, "text": "1"}]})
    dataset = free.dataset_uri.removesuffix(":next")
    assert free.client.post(f"{dataset}/versions/next/release").is_success
    assert free.client.post(f"{dataset}/versions").is_success
    uri = another(free).json()["uri"]
    assert free.client.post(f"{uri}/rows", json={"rows": [{"n": "many"}]}).status_code == 400
    assert free.client.post(f"{uri}/rows", json={"rows": [{"n": 2, "text": 3}]}).status_code == 201
    assert types_of(free, uri) == {"n": "integer", "text": "string"}
    unversioned = uri.replace(":next", "", 1)
    assert free.client.post(f"{unversioned}/rows", json={"rows": [{"n": "many"}]}).status_code == 400
    assert free.client.post(f"{unversioned}/rows", json={"rows": [{"n": 1.0}]}).status_code == 201


def test_names_that_are_none_are_repaired(stream: Stream) -> None:
    """The answer warns, and rows may use either name, but not both at once."""
    schema = [{"name": "var.2", "type": "integer"}, {"name": "_upload_name", "type": "string"}]
    made = another(stream, schema=schema)
    assert made.status_code == 201, made.text
    uri = made.json()["uri"]
    assert '"var.2" is var_2' in made.headers["x-redivis-warning"]
    assert made.json()["warnings"] == [made.headers["x-redivis-warning"]]
    names = list(types_of(stream, uri))
    assert names[0] == "var_2"
    rows = [{"var.2": 1, "_upload_name": "a"}, {"VAR_2": 2, names[1]: "b"}]
    assert stream.client.post(f"{uri}/rows", json={"rows": rows}).status_code == 201
    both = stream.client.post(f"{uri}/rows", json={"rows": [{"var.2": 1, "var_2": 2}]}).json()
    assert "name the same variable" in both["errors"][0]["message"]


def test_repaired_names_that_meet_are_numbered(stream: Stream) -> None:
    """As those of a file are: the name that needs no repair keeps it. Equal names as sent are refused."""
    names = ["a b", "A_B", "a-b"]
    made = another(stream, schema=[{"name": name, "type": "string"} for name in names]).json()
    assert list(types_of(stream, made["uri"])) == ["a_b_1", "A_B", "a_b_2"]
    row = {name: name for name in names}
    assert stream.client.post(f"{made['uri']}/rows", json={"rows": [row]}).status_code == 201
    assert stream.client.get(f"{made['uri']}/rows").json() == dict(
        zip(["a_b_1", "A_B", "a_b_2"], names, strict=True)
    )
    for first, second in (("a b", "A B"), ("id", "ID")):
        twins = [{"name": first, "type": "integer"}, {"name": second, "type": "string"}]
        refused = another(stream, schema=twins).json()
        assert (refused["status"], "names ignore case" in refused["error_description"]) == (400, True)


@pytest.mark.parametrize(
    ("type_", "words"),
    [("int", "use integer"), ("datetime", "use dateTime"), ("TEXT", "use string"), ("colour", "geography")],
)
def test_an_unknown_type_is_answered_with_the_types(stream: Stream, type_: str, words: str) -> None:
    """All eight are listed, and the one that was meant is suggested."""
    refused = another(stream, schema=[{"name": "a", "type": type_}]).json()
    assert refused["status"] == 400
    message = refused["error_description"]
    assert words in message
    assert "string, integer, float, boolean, date, dateTime, time, geography" in message


def test_a_key_that_can_be_no_variable_is_answered_with_a_name(free: Stream) -> None:
    """The message proposes a name that would do."""
    message = free.insert({"rows": [{"Größe (cm)": 1}]}).json()["error_description"]
    assert "Größe (cm)" in message
    assert "_cm would do" in message


def test_an_upload_may_have_a_name_of_255_characters(stream: Stream) -> None:
    """Also when it has to be numbered, because the name is taken."""
    name = "é" * 251 + ".csv"
    uris = [another(stream, name=name).json()["uri"] for _ in range(2)]
    assert len(set(uris)) == 2
    assert all(stream.client.get(uri).status_code == 200 for uri in uris)
    assert another(stream, name=name + "x").status_code == 400


def test_a_byte_order_mark_before_any_json_is_passed_over(stream: Stream) -> None:
    """Not only before rows: PowerShell and others put it before whatever they send."""
    body = b'\xef\xbb\xbf{"name": "marked", "type": "stream"}'
    headers = {"Content-Type": "application/json"}
    made = stream.client.post(f"{stream.table_uri}/uploads", content=body, headers=headers)
    assert made.json()["name"] == "marked"


@pytest.mark.parametrize("separator", ["\u2028", "\u2029", "\u0085"])
def test_lines_hold_nothing_that_readers_break_at(stream: Stream, separator: str) -> None:
    """Rows and the lines of a quarantine come one a line, however a reader splits text into lines."""
    text = f"a{separator}b"
    stream.insert({"rows": [{"site": text}, {"count": text}], "skipInvalidRows": True})
    for url in (f"{stream.table_uri}/rows", f"{stream.upload_uri}/quarantine?format=jsonl"):
        body = stream.client.get(url).content.decode()
        assert separator not in body
        assert len(body.splitlines()) == 1
    assert stream.rows()[0]["site"] == text
