"""The JavaScript client, unmodified, against a real server. Source: contract 6.3 and the client's own source.

It reads datasets, versions, tables and rows and changes datasets and versions; it cannot upload, so the rows
come over plain HTTP.
"""

import json
from collections.abc import Iterator

import pytest

from tests.api.stream import ALL_TYPES, Stream
from tests.e2e.client_process import SCRIPTS, Facts, drive, javascript_client
from tests.e2e.test_python_clients import NAMES, ROWS, TYPES
from tests.server_process import ServerProcess

VERSION = "0.3.10"


def run(
    server: ServerProcess, stream: Stream, sections: list[str], token: str | None = None
) -> dict[str, Facts]:
    """What the client tells of these sections."""
    client = javascript_client()
    package = json.loads((client / "package.json").read_text(encoding="utf-8"))
    assert package["version"] == VERSION
    dataset = stream.client.get(stream.dataset_uri.removesuffix(":next")).json()
    given = {
        "owner": server.user,
        "organization": server.organization,
        "dataset": dataset["name"],
        "table": "measurements",
        "sections": sections,
    }
    script = SCRIPTS / "javascript_cycle.mjs"
    return drive(["node", script, client / package["exports"]["import"]], server, given, token)


@pytest.fixture(scope="module")
def stream(server: ServerProcess) -> Iterator[Stream]:
    """A released dataset with rows of all types."""
    made = Stream(server.url, server.token, ALL_TYPES, server.user)
    assert made.insert({"rows": ROWS}).status_code == 201
    released = made.client.post(f"{made.dataset_uri}/versions/next/release")
    assert released.is_success, released.text
    yield made
    made.close()


@pytest.fixture(scope="module")
def told(server: ServerProcess, stream: Stream) -> dict[str, Facts]:
    """What the client tells of the released dataset."""
    return run(server, stream, ["datasets", "versions", "tables", "rows"])


def test_dataset_life(told: dict[str, Facts]) -> None:
    """A dataset is created, changed (by POST), listed, deleted; its name alone means the released one."""
    facts = told["datasets"]
    created = {"name": "Made in JavaScript", "description": "about it", "publicAccessLevel": "none"}
    assert facts["created"] == created
    assert facts["updated"] == {**created, "description": "more of it", "publicAccessLevel": "overview"}
    assert "Made in JavaScript" in facts["listed"]
    assert (facts["listedAtMost"], facts["listedVersion"]) == (1, "current")
    assert (facts["existedBefore"], facts["exists"], facts["existsAfter"]) == (False, True, False)
    assert facts["existsReleased"] is False
    assert "Next version already exists" in facts["nextExists"]["text"]
    assert facts["getBefore"]["status"] == 404
    assert "There is no dataset" in facts["getBefore"]["text"]


def test_versions(told: dict[str, Facts]) -> None:
    """A next version is created once; nothing is released that has not changed."""
    facts = told["versions"]
    assert (facts["exists"], facts["tag"], facts["tagOfNext"]) == (True, "v1.0", "next")
    assert "Next version already exists" in facts["nextAgain"]["text"]
    assert facts["tags"] == ["next", "v1.0"]
    assert facts["first"] == {"tag": "v1.0", "isReleased": True, "releaseNotes": None}
    assert facts["unchanged"]["status"] == 400
    assert "nothing to release" in facts["unchanged"]["text"]
    assert facts["rowsOfNext"] == 3


def test_tables(told: dict[str, Facts]) -> None:
    """Tables and variables are listed, found and described."""
    facts = told["tables"]
    assert (facts["listed"], facts["exists"], facts["missing"]) == (["measurements"], True, False)
    assert facts["getMissing"]["status"] == 404
    assert "There is no table nowhere" in facts["getMissing"]["text"]
    assert facts["variables"] == TYPES
    assert facts["variablesAtMost"] == NAMES[:2]
    assert facts["variableExists"] == [True, False]
    assert facts["variable"] == {"name": "site", "type": "string", "label": None}
    assert facts["got"] == {"name": "measurements", "numRows": 3}


def test_rows(told: dict[str, Facts]) -> None:
    """Rows come as JavaScript holds them, over listRows and, as of large tables, over a read session."""
    facts = told["rows"]
    full = {
        **ROWS[0],
        "count": 9007199254740992,  # a JavaScript number: doubles only
        "day": "2020-02-29T00:00:00.000Z",
        "measured_at": "1970-01-01T00:00:00.000Z",
        "local_time": 86399.999999,
    }
    nulls = dict.fromkeys(NAMES)
    second = {**nulls, **ROWS[1], "count": -9223372036854776000, "day": "0001-01-01T00:00:00.000Z"}
    assert facts["all"] == facts["sessionAll"] == [full, second, nulls]
    chosen = [{name: row[name] for name in ("count", "site")} for row in (full, second)]
    assert facts["some"] == facts["sessionSome"] == chosen
    assert facts["one"] == [{"site": ROWS[0]["site"]}]
    assert facts["ofVersion"] == 3


def test_release(server: ServerProcess) -> None:
    """The client releases a first version and, after more rows came in, a second."""
    made = Stream(server.url, server.token, ALL_TYPES, server.user)
    assert made.insert({"rows": ROWS}).status_code == 201
    assert run(server, made, ["release"])["release"] == {"tag": "v1.0", "tags": ["v1.0"]}
    run(server, made, ["versions"])
    upload = made.post(f"{made.table_uri}/uploads", {"name": "more", "type": "stream", "schema": ALL_TYPES})
    made.upload_uri = upload["uri"]
    assert made.insert({"rows": ROWS}).status_code == 201
    assert run(server, made, ["release"])["release"] == {"tag": "v1.1", "tags": ["v1.0", "v1.1"]}
    made.close()


def test_errors(server: ServerProcess, stream: Stream) -> None:
    """A token that is not known is an error with its status and its words, for `exists` too."""
    told = run(server, stream, ["errors"], token="nobodys")["errors"]
    assert told["token"]["status"] == told["tokenExists"]["status"] == 401
    assert "This token is not known" in told["token"]["text"]
