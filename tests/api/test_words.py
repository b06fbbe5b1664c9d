"""What a person meets by mistake says what to do next."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from rowkeep.client.connection import Connection, NoAnswer, parse_address
from tests import plain_http
from tests.api.stream import Stream
from tests.command_line import rowkeep
from tests.server_process import ServerProcess


@pytest.fixture(scope="module")
def stream(server: ServerProcess) -> Iterator[Stream]:
    """A stream that takes an integer."""
    made = Stream(server.url, server.token, [{"name": "id", "type": "integer"}], server.user)
    yield made
    made.close()


def test_a_wrong_token_says_where_tokens_come_from(server: ServerProcess) -> None:
    """Who has no good token learns who makes them."""
    answer = plain_http.request("GET", f"{server.url}/users/me", headers={"authorization": "Bearer wrong"})
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


def names_of(stream: Stream) -> tuple[str, str]:
    """The dataset and the table of a stream, as people write them."""
    owner, dataset, table = re.sub(r":\w+", "", stream.table_uri.removeprefix("/tables/")).split(".")
    return f"{owner}.{dataset}", table


def said_of(stream: Stream, method: str, path: str, **given: Any) -> str:
    """What a request is told that cannot succeed."""
    answer = stream.client.request(method, path, **given)
    assert 400 <= answer.status_code < 500
    said: str = answer.json()["error_description"]
    return said


def test_a_near_miss_of_a_table_names_the_table(stream: Stream) -> None:
    """Who mistypes a table sees the nearest, those there are, and how one is made."""
    dataset, name = names_of(stream)
    said = said_of(stream, "GET", f"/tables/{dataset}.{name[:-1]}")
    assert f"Did you mean {name}? It has {name}." in said
    assert f'POST /api/v1/datasets/{dataset}/tables {{"name": "{name[:-1]}"}}' in said


def test_a_near_miss_of_a_dataset_names_the_dataset(stream: Stream, server: ServerProcess) -> None:
    """The nearest that this caller sees; who may see none is told of none."""
    dataset, _ = names_of(stream)
    path = f"/datasets/{dataset.replace('set', 'st')}"
    said = said_of(stream, "GET", path)
    assert f"Did you mean {dataset}?" in said
    assert f"Create one with POST /api/v1/users/{server.user}/datasets" in said
    rowkeep("user", "create", "passer_by", data_dir=server.data_dir)
    token = rowkeep("token", "create", "--user", "passer_by", data_dir=server.data_dir)
    for hidden in (path, f"/datasets/{dataset}"):
        headers = {"authorization": f"Bearer {token}"}
        said = plain_http.get(f"{server.url}{hidden}", headers=headers).json()["error_description"]
        name = hidden.removeprefix("/datasets/")
        assert said.startswith(f"There is no dataset {name} that you can see.")
        assert dataset not in said.replace(name, "")
        assert dataset not in plain_http.get(f"{server.url}{path}").text


def test_an_unknown_version_names_the_dataset(stream: Stream) -> None:
    """Who sees the dataset learns that its version is what is missing."""
    dataset, _ = names_of(stream)
    said = said_of(stream, "GET", f"/datasets/{dataset}:v9.0")
    assert f"There is no dataset {dataset}:v9.0" in said
    assert f"Did you mean {dataset}?" in said
    assert "Create one" not in said
    said = said_of(stream, "GET", f"/datasets/{dataset}/versions/v9.0")
    assert said.startswith(f"Dataset {dataset} has no version v9.0 that you can see.")
    assert f"GET /api/v1/datasets/{dataset}/versions" in said


def test_a_second_release_says_how_the_next_version_is_opened(server: ServerProcess) -> None:
    """A dataset without a next version has nothing to release; the error says what to do."""
    made = Stream(server.url, server.token, [{"name": "id", "type": "integer"}], server.user)
    dataset, _ = names_of(made)
    release = f"/datasets/{dataset}/versions/next/release"
    assert made.client.post(release).status_code == 200
    said = said_of(made, "POST", release)
    assert said.startswith(f"Dataset {dataset} has no next version")
    assert f"POST /api/v1/datasets/{dataset}/versions " in said
    made.close()


def test_an_unknown_upload_shows_the_whole_path(stream: Stream) -> None:
    """The line that creates one can be copied, and the nearest is named."""
    said = said_of(stream, "POST", f"{stream.table_uri}/uploads/ss/rows", json={"rows": []})
    assert f"POST /api/v1/tables/{'.'.join(names_of(stream))}/uploads {{" in said
    assert "Did you mean s?" in said


def test_an_unknown_variable_names_the_nearest(stream: Stream) -> None:
    """And how a variable is added."""
    said = stream.insert({"rows": [{"idd": 1}]}).json()["errors"][0]["message"]
    assert "Did you mean id?" in said
    assert '"updateSchema": true' in said


def test_a_bare_list_is_put_into_an_object(stream: Stream) -> None:
    """Rows without the object around them are told where they go."""
    said = stream.insert(b'[{"id": 1}]').json()["error_description"]
    assert 'as the value of `rows`: {"rows": [' in said


@pytest.mark.parametrize("type_", [None, "streem"])
def test_an_upload_without_a_type_is_told_of_streams(stream: Stream, type_: str | None) -> None:
    """Literally, as it goes into the body."""
    body = {"name": "x", "type": type_} if type_ else {"name": "x"}
    assert '"type": "stream"' in said_of(stream, "POST", f"{stream.table_uri}/uploads", json=body)


@pytest.mark.parametrize(
    ("type_", "meant"), [("int", "integer"), ("datetime", "dateTime"), ("integr", "integer"), ("x", "")]
)
def test_an_unknown_type_lists_the_eight(stream: Stream, type_: str, meant: str) -> None:
    """And suggests one where one is near."""
    body = {"name": "x", "type": "stream", "schema": [{"name": "a", "type": type_}]}
    said = said_of(stream, "POST", f"{stream.table_uri}/uploads", json=body)
    assert "string, integer, float, boolean, date, dateTime, time, geography" in said
    assert (f"use {meant}." in said) == bool(meant)


@pytest.mark.parametrize(
    "asked",
    [{"where": "idd = 1"}, {"orderBy": "idd desc"}, {"selectedVariables": "idd"}, {"where": "i_d > 1"}],
    ids=str,
)
def test_a_misspelt_variable_names_the_nearest(stream: Stream, asked: dict[str, str]) -> None:
    """In every parameter that names variables."""
    assert "Did you mean id?" in said_of(stream, "GET", f"{stream.table_uri}/rows", params=asked)


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("SELECT idd FROM {table}", "Did you mean id?"),
        ("SELECT COUN(id) FROM {table}", "Did you mean COUNT?"),
        ("SELECT id FROM {table}s", "Did you mean"),
    ],
)
def test_a_misspelt_name_in_a_query_names_the_nearest(stream: Stream, query: str, words: str) -> None:
    """A column, a function and a table."""
    text = query.format(table=".".join(names_of(stream)))
    made = stream.client.post("/queries", json={"query": text}).json()
    while made["status"] in ("queued", "running"):
        made = stream.client.get(f"/queries/{made['id']}").json()
    assert words in made["errorMessage"]


@pytest.mark.parametrize("where", ["rows", "exports"])
def test_a_misspelt_format_names_the_nearest(stream: Stream, where: str) -> None:
    """And lists those there are."""
    method, part = ("GET", "params") if where == "rows" else ("POST", "json")
    said = said_of(stream, method, f"{stream.table_uri}/{where}", **{part: {"format": "xslx"}})
    assert "Did you mean xlsx?" in said
    assert "parquet" in said


@pytest.mark.parametrize(
    ("near", "meant"),
    [
        ("/api/v1/table/a.b.c", "/api/v1/tables/a.b.c"),
        ("/api/v1/Tables/a.b.c/row", "/api/v1/tables/a.b.c/rows"),
        ("/api/v1/tables/a.b.c/upload/s/rows", "/api/v1/tables/a.b.c/uploads/s/rows"),
        ("/api/v1/dataset/a.b", "/api/v1/datasets/a.b"),
        ("/api/v1/datasets/a.b/", "/api/v1/datasets/a.b"),
        ("/api/v2/datasets/a.b", "/api/v1/datasets/a.b"),
        ("/api/datasets/a.b", "/api/v1/datasets/a.b"),
        ("/api/v1/user/me", "/api/v1/users/me"),
    ],
)
def test_a_near_miss_of_a_path_names_the_path(server: ServerProcess, near: str, meant: str) -> None:
    """Singular, another case, another version, a slash at the end."""
    origin = server.url.removesuffix("/api/v1")
    answer = plain_http.request("GET", f"{origin}{near}")
    assert answer.status_code == 404
    assert f"Did you mean {meant}?" in answer.json()["error_description"]


def test_what_is_near_to_nothing_suggests_nothing(server: ServerProcess) -> None:
    """No path is named for one that is like none."""
    answer = plain_http.request("GET", f"{server.url}/something/else/entirely")
    assert answer.json()["error_description"] == "There is nothing at this path."


@pytest.mark.parametrize("path", ["/", "/api", "/api/v1"])
def test_the_beginning_says_where_things_are(server: ServerProcess, path: str) -> None:
    """To a program or a person who asks for it without a browser."""
    said = plain_http.request("GET", f"{server.url.removesuffix('/api/v1')}{path}").json()[
        "error_description"
    ]
    assert all(place in said for place in ("/api/v1", "/console", "docs/"))


def test_nobody_is_told_where_tokens_come_from(server: ServerProcess) -> None:
    """Who sends no token at all learns who makes them."""
    answer = plain_http.request("GET", f"{server.url}/users/me")
    assert "rowkeep token create" in answer.json()["error_description"]


@pytest.mark.parametrize("ending", ["rows", "uploads", "uploads/live/rows"])
def test_rows_posted_to_a_dataset_are_shown_the_path(stream: Stream, ending: str) -> None:
    """Rows have their place in an upload of a table."""
    dataset, _ = names_of(stream)
    said = said_of(stream, "POST", f"/datasets/{dataset}/{ending}", json={"rows": []})
    assert "POST /api/v1/tables/TABLE/uploads/UPLOAD/rows" in said


@pytest.mark.parametrize("name", ["...", "u" * 256, "a\nb"])
def test_the_name_of_an_upload(stream: Stream, name: str) -> None:
    """A name that an upload cannot have is refused in whole words."""
    said = said_of(stream, "POST", f"{stream.table_uri}/uploads", json={"name": name, "type": "stream"})
    assert said.startswith("The name of an upload ")


@pytest.mark.parametrize("query", ["", "?updateSchema=true"])
def test_one_object_sent_as_lines_is_recognized(stream: Stream, query: str) -> None:
    """A whole body under the media type of lines: the error names the right one."""
    path = f"{stream.table_uri}/uploads/s/rows{query}"
    lines = {"content-type": "application/x-ndjson"}
    answer = stream.client.post(path, content=b'{"rows": [{"id": 1}]}', headers=lines)
    assert answer.status_code == 400
    assert "`Content-Type: application/json`" in answer.json()["errors"][0]["message"]


def test_https_to_a_server_of_http_is_shown_the_other(server: ServerProcess) -> None:
    """The clients say what to change, instead of what TLS says."""
    secure = parse_address(server.url.replace("http://", "https://"))
    with pytest.raises(NoAnswer, match=f"does not speak HTTPS; try http://{secure.host}:{secure.port}"):
        Connection(secure, server.token, 5).ask("GET", "/users/me")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"schema": {"a": "integer"}}, "`schema` takes a list or null, but got an object."),
        ({"schema": ["a"]}, "`schema[0]` takes an object, but got a text."),
        ({"schema": [{"name": "a"}]}, "`type` is missing in `schema[0]`."),
        ({"name": 3}, "`name` takes a text or null, but got a whole number."),
    ],
)
def test_a_body_of_another_shape(stream: Stream, body: dict[str, Any], words: str) -> None:
    """The key is named, what it takes and what it got; for a schema with an example."""
    said = said_of(stream, "POST", f"{stream.table_uri}/uploads", json={"type": "stream", **body})
    assert words in said
    assert ('[{"name": "a", "type": "integer"}]' in said) is ("schema" in body)
