"""Access that was withdrawn ends at once: in read sessions, in those of filtered rows, in results of queries.

Each test opens all of them while the caller may read, withdraws access in one way, and reads again.
"""

from collections.abc import Iterator
from itertools import count

import pytest

from tests.api.publishing import Publication
from tests.command_line import rowkeep
from tests.server_process import ServerProcess

_numbers = count(1)
ROWS = [{"a": 1}, {"a": 2}]


class Reader:
    """A user of a name of their own, and what they opened."""

    def __init__(self, server: ServerProcess) -> None:
        self.name = f"reader_{next(_numbers)}"
        rowkeep("user", "create", self.name, data_dir=server.data_dir)
        self.token = rowkeep("token", "create", "--user", self.name, data_dir=server.data_dir)


@pytest.fixture
def publication(server: ServerProcess) -> Iterator[Publication]:
    """A dataset with a released version of two rows."""
    made = Publication(server)
    made.publish("answers", "first", ROWS)
    yield made
    made.close()


@pytest.fixture
def reader(server: ServerProcess) -> Reader:
    """A user who was granted nothing yet."""
    return Reader(server)


def opened(publication: Publication, token: str, version: str) -> list[str]:
    """The paths of all that a caller can open on a table and read later."""
    paths = [
        _stream(publication, token, f"{publication.table('answers', version)}/readSessions", body)
        for body in ({}, {"where": "a > 0"})
    ]
    if token:
        reference = publication.table("answers", version).removeprefix("/tables/")
        asked = {"query": f"SELECT a FROM `{reference}`"}
        query = publication.ask("POST", "/queries", asked, token).json()
        assert query["status"] == "completed", query
        paths += [f"{query['uri']}/rows", _stream(publication, token, f"{query['uri']}/readSessions", {})]
    return paths


def _stream(publication: Publication, token: str, path: str, body: dict[str, str]) -> str:
    session = publication.ask("POST", path, body, token)
    assert session.status_code == 200, session.text
    return f"/readStreams/{session.json()['streams'][0]['id']}"


def statuses(publication: Publication, token: str, paths: list[str]) -> set[int]:
    """What the paths answer."""
    return {publication.ask("GET", path, None, token).status_code for path in paths}


def grant(publication: Publication, name: str, level: str) -> None:
    """Grants a level on the dataset."""
    publication.done("PUT", f"{publication.dataset()}/access/{name}", {"accessLevel": level})


def test_a_grant_that_is_withdrawn(publication: Publication, reader: Reader) -> None:
    """What was opened under a grant is absent without it, and there again with it."""
    grant(publication, reader.name, "data")
    paths = opened(publication, reader.token, "v1.0")
    assert statuses(publication, reader.token, paths) == {200}
    publication.done("DELETE", f"{publication.dataset()}/access/{reader.name}")
    assert statuses(publication, reader.token, paths) == {404}
    grant(publication, reader.name, "data")
    assert statuses(publication, reader.token, paths) == {200}


def test_a_grant_that_is_lowered(publication: Publication, reader: Reader) -> None:
    """Who may still see the dataset, but no data of it, is told so."""
    grant(publication, reader.name, "data")
    paths = opened(publication, reader.token, "v1.0")
    grant(publication, reader.name, "metadata")
    assert statuses(publication, reader.token, paths) == {403}


@pytest.mark.parametrize("meanwhile", ["", "release", "delete"])
def test_edit_access_that_is_lost(publication: Publication, reader: Reader, meanwhile: str) -> None:
    """What an editor opened on `next` takes edit access, whatever became of that version."""
    publication.done("POST", f"{publication.dataset()}/versions")
    publication.add_upload("answers", "second", ROWS)
    grant(publication, reader.name, "edit")
    paths = opened(publication, reader.token, "next")
    if meanwhile == "release":
        publication.release()
    elif meanwhile == "delete":
        publication.done("DELETE", publication.version("next"))
    assert statuses(publication, reader.token, paths) == {200}
    grant(publication, reader.name, "data")
    assert statuses(publication, reader.token, paths) <= {403, 404}


def test_an_organization_that_is_left(
    server: ServerProcess, publication: Publication, reader: Reader
) -> None:
    """Access through an organization ends with the membership."""
    member = f"/organizations/{server.organization}/members/{reader.name}"
    publication.done("PUT", member, {})
    grant(publication, server.organization, "data")
    paths = opened(publication, reader.token, "v1.0")
    publication.done("DELETE", member)
    assert statuses(publication, reader.token, paths) == {404}


@pytest.mark.parametrize("way", ["level", "unreleased"])
def test_public_access_that_ends(publication: Publication, reader: Reader, way: str) -> None:
    """Neither strangers nor anonymous readers keep what they opened while the data was public."""
    publication.done("PATCH", publication.dataset(), {"publicAccessLevel": "data"})
    anonymous, strangers = (opened(publication, token, "v1.0") for token in ("", reader.token))
    assert statuses(publication, "", anonymous) == {200}
    if way == "level":
        publication.done("PATCH", publication.dataset(), {"publicAccessLevel": "none"})
    else:
        publication.done("POST", publication.version("current", "unrelease"))
    assert statuses(publication, "", anonymous) == {401}
    assert statuses(publication, reader.token, [*strangers, *anonymous]) == {404}


def test_a_dataset_that_is_deleted(publication: Publication, reader: Reader) -> None:
    """Grants and public access go with a dataset; its owner reads on until the session expires."""
    publication.done("PATCH", publication.dataset(), {"publicAccessLevel": "data"})
    grant(publication, reader.name, "edit")
    anonymous, editors = (opened(publication, token, "v1.0") for token in ("", reader.token))
    owners = opened(publication, publication.token, "v1.0")
    publication.done("DELETE", publication.dataset())
    assert statuses(publication, "", anonymous) == {401}
    assert statuses(publication, reader.token, [*editors, *anonymous]) == {404}
    assert statuses(publication, publication.token, owners) == {200}


def test_a_version_that_is_deleted(publication: Publication, reader: Reader) -> None:
    """Hiding a released version takes nothing from who may still read the dataset's data."""
    grant(publication, reader.name, "data")
    paths = opened(publication, reader.token, "v1.0")
    publication.publish("answers", "second", ROWS)
    publication.done("DELETE", publication.version("v1.0"))
    assert statuses(publication, reader.token, paths) == {200}
    publication.done("DELETE", f"{publication.dataset()}/access/{reader.name}")
    assert statuses(publication, reader.token, paths) == {404}


def test_a_token_that_is_revoked(server: ServerProcess, publication: Publication, reader: Reader) -> None:
    """A session is of a user: another token of theirs reads it, the revoked one does not."""
    grant(publication, reader.name, "data")
    paths = opened(publication, reader.token, "v1.0")
    other = rowkeep("token", "create", "--user", reader.name, data_dir=server.data_dir)
    weak = rowkeep(
        "token", "create", "--user", reader.name, "--scope", "data.metadata", data_dir=server.data_dir
    )
    listed = rowkeep("token", "list", data_dir=server.data_dir).splitlines()[1:]
    oldest = min(int(line.split()[0]) for line in listed if line.split()[1] == reader.name)
    rowkeep("token", "revoke", str(oldest), data_dir=server.data_dir)
    assert statuses(publication, reader.token, paths) == {401}
    assert statuses(publication, other, paths) == {200}
    assert statuses(publication, weak, paths) == {403}


def test_an_editor_does_not_open_a_dataset(publication: Publication, reader: Reader) -> None:
    """Who may not grant may not make it public either, nor less so; all else that editors change they may."""
    grant(publication, reader.name, "edit")
    access = f"{publication.dataset()}/access/{reader.name}"
    publication.refused(403, "PUT", access, {"accessLevel": "data"}, reader.token)
    for level in ("data", "overview"):
        body = {"publicAccessLevel": level, "description": "open"}
        refusal = publication.refused(403, "PATCH", publication.dataset(), body, reader.token)
        assert "administrator" in refusal
    shown = publication.done("GET", publication.dataset())
    assert (shown["publicAccessLevel"], shown["description"]) == ("none", None)
    unchanged = {"publicAccessLevel": "none", "description": "open"}
    assert publication.ask("PATCH", publication.dataset(), unchanged, reader.token).status_code == 200
    publication.done("PATCH", publication.dataset(), {"publicAccessLevel": "data"})
