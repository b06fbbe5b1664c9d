"""The command line decides who has access, while the server runs and with effect on the next request."""

from collections.abc import Iterator

import httpx
import pytest

from tests import plain_http
from tests.api.stream import Stream
from tests.command_line import refusal, rowkeep
from tests.server_process import ServerProcess

ROW = {"rows": [{"name": "Jane"}]}


@pytest.fixture(scope="module")
def friend(server: ServerProcess) -> str:
    """A token of the user friend."""
    rowkeep("user", "create", "friend", data_dir=server.data_dir)
    return rowkeep("token", "create", "--user", "friend", data_dir=server.data_dir)


@pytest.fixture
def stream(server: ServerProcess) -> Iterator[Stream]:
    """A stream of the server's user."""
    made = Stream(server.url, server.token, [{"name": "name", "type": "string"}], server.user)
    yield made
    made.close()


def reference_of(stream: Stream) -> str:
    """The stream's dataset as owner.dataset."""
    return stream.dataset_uri.removeprefix("/datasets/").partition(":")[0]


def get(stream: Stream, token: str) -> int:
    """How the dataset answers a token."""
    headers = {"Authorization": f"Bearer {token}"}
    return stream.client.get(stream.dataset_uri, headers=headers).status_code


def insert(stream: Stream, token: str, body: object = ROW) -> httpx.Response:
    """Inserts with a token."""
    headers = {"Authorization": f"Bearer {token}"}
    return stream.client.post(f"{stream.upload_uri}/rows", json=body, headers=headers)


def listed(server: ServerProcess, reference: str) -> list[list[str]]:
    """What `access list` prints below its heading, in words."""
    lines = rowkeep("access", "list", reference, data_dir=server.data_dir).splitlines()
    assert lines[0].split() == ["GRANTEE", "KIND", "LEVEL"]
    return [line.split() for line in lines[1:]]


def test_grant_and_revoke(server: ServerProcess, stream: Stream, friend: str) -> None:
    """A grant counts from the next request on, also one of another level, and so does its end."""
    dataset = reference_of(stream)
    assert get(stream, friend) == 404
    rowkeep("access", "grant", dataset, "friend", "edit", data_dir=server.data_dir)
    assert listed(server, dataset) == [["friend", "user", "edit"]]
    assert get(stream, friend) == 200
    assert insert(stream, friend).status_code == 201
    rowkeep("access", "grant", dataset, "friend", "data", data_dir=server.data_dir)
    assert listed(server, dataset) == [["friend", "user", "data"]]
    # What is not released is there for editors alone.
    assert insert(stream, friend).status_code == 404
    rowkeep("access", "grant", dataset, "friend", "edit", data_dir=server.data_dir)
    assert insert(stream, friend).status_code == 201
    rowkeep("access", "revoke", dataset, "friend", data_dir=server.data_dir)
    assert listed(server, dataset) == []
    # The server has just let this token insert; even with nothing to insert it must not go on.
    for body in (ROW, {"rows": []}, {"rows": [{"nowhere": 1}]}):
        assert insert(stream, friend, body).status_code == 404
    assert get(stream, friend) == 404
    assert stream.row_count() == 2


def test_members_have_what_their_organization_was_granted(
    server: ServerProcess, stream: Stream, friend: str
) -> None:
    """A grant to an organization is its members'; who is removed loses it with the next request."""
    data_dir, dataset = server.data_dir, reference_of(stream)
    rowkeep("access", "grant", dataset, server.organization, "edit", data_dir=data_dir)
    assert listed(server, dataset) == [[server.organization, "organization", "edit"]]
    assert insert(stream, friend).status_code == 404
    rowkeep("organization", "add-member", server.organization, "friend", data_dir=data_dir)
    assert insert(stream, friend).status_code == 201
    rowkeep("organization", "remove-member", server.organization, "friend", data_dir=data_dir)
    assert insert(stream, friend).status_code == 404
    assert get(stream, friend) == 404


def test_administrators(server: ServerProcess, friend: str) -> None:
    """--admin makes an administrator and no --admin a member again; an organization keeps one at least."""
    data_dir, organization = server.data_dir, "crew"  # no other test's, so that nobody else is in it
    rowkeep("organization", "create", organization, "--admin", server.user, data_dir=data_dir)
    headers = {"Authorization": f"Bearer {friend}"}
    url = f"{server.url}/organizations/{organization}/members"
    with plain_http.client(headers=headers) as client:
        rowkeep("organization", "add-member", organization, "friend", "--admin", data_dir=data_dir)
        roles = {item["user"]["name"]: item["role"] for item in client.get(url).json()["results"]}
        assert roles == {server.user: "administrator", "friend": "administrator"}
        rowkeep("organization", "add-member", organization, "friend", data_dir=data_dir)
        assert client.get(url).status_code == 403
    rowkeep("organization", "remove-member", organization, "friend", data_dir=data_dir)
    said = refusal("organization", "remove-member", organization, server.user, data_dir=data_dir)
    assert f"{server.user} is the only administrator of {organization}" in said
    said = refusal("organization", "add-member", organization, server.user, data_dir=data_dir)
    assert "the only administrator" in said


def test_what_cannot_be_is_named(server: ServerProcess, stream: Stream) -> None:
    """A dataset, grantee, level, organization or user that does not exist is named, and nothing changes."""
    data_dir, dataset = server.data_dir, reference_of(stream)
    for arguments, text in (
        (("access", "grant", f"{dataset}_x", server.organization, "data"), f"no dataset {dataset}_x"),
        (("access", "grant", "demo", server.organization, "data"), "write owner.dataset"),
        (("access", "grant", dataset, "nobody", "data"), "no user or organization nobody"),
        (("access", "grant", dataset, server.organization, "none"), "overview, metadata, sample, data, edit"),
        (("access", "grant", dataset, server.organization, "all"), "not 'all'"),
        (("access", "revoke", dataset, server.organization), "was not granted access"),
        (("organization", "add-member", server.user, server.user), f"no organization {server.user}"),
        (("organization", "add-member", server.organization, "nobody"), "no user nobody"),
    ):
        assert text in refusal(*arguments, data_dir=data_dir), arguments
    assert listed(server, dataset) == []
