"""The audit log: acts that give or take rights or data are written down, with who, when and from where."""

import asyncio
import getpass
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests import plain_http
from tests.api.publishing import Publication
from tests.command_line import refusal, rowkeep
from tests.server_process import ServerProcess

Json = dict[str, Any]
SITE = [{"name": "site", "type": "string"}]


@pytest.fixture
def publication(server: ServerProcess) -> Iterator[Publication]:
    """A dataset of its own."""
    made = Publication(server)
    yield made
    made.close()


@pytest.fixture(scope="module")
def others(server: ServerProcess) -> dict[str, str]:
    """A token for an editor by grant, for a stranger, and for the owner with fewer rights."""
    for name in ("audit_editor", "audit_stranger"):
        rowkeep("user", "create", name, data_dir=server.data_dir)
    return {
        "editor": rowkeep("token", "create", "--user", "audit_editor", data_dir=server.data_dir),
        "stranger": rowkeep("token", "create", "--user", "audit_stranger", data_dir=server.data_dir),
        "reader": rowkeep(
            "token", "create", "--user", server.user, "--scope", "data.data", data_dir=server.data_dir
        ),
    }


def log_of(publication: Publication) -> list[Json]:
    """The audit log of a dataset, oldest first."""
    listed: list[Json] = publication.done("GET", f"{publication.dataset()}/audit")["results"]
    return listed[::-1]


def acts_of(entries: list[Json]) -> list[tuple[str, str, Json]]:
    """What was done to what."""
    return [(entry["action"], entry["subject"], entry["details"]) for entry in entries]


@pytest.mark.usefixtures("others")
def test_acts_on_a_dataset_are_written_down(publication: Publication) -> None:
    """Granting, opening, releasing, undoing, emptying, replaying and deleting leave an entry each."""
    name = publication.reference
    publication.done("PUT", f"{publication.dataset()}/access/audit_editor", {"accessLevel": "data"})
    publication.done("PUT", f"{publication.dataset()}/access/audit_editor", {"accessLevel": "edit"})
    publication.done("DELETE", f"{publication.dataset()}/access/audit_editor")
    publication.done("PATCH", publication.dataset(), {"publicAccessLevel": "data"})
    publication.done("PATCH", publication.dataset(), {"description": "nobody's rights change"})
    publication.add_table("t")
    publication.add_upload("t", "u", [{"site": "a"}], SITE, skipInvalidRows=True)
    upload = f"{publication.table('t')}/uploads/u"
    publication.client.post(
        f"{upload}/rows", json={"rows": [{"site": "b"}]}, headers={"Idempotency-Key": "k"}
    ).raise_for_status()
    publication.done("DELETE", f"{upload}/requests/k")
    publication.done("DELETE", f"{upload}/requests/k")
    publication.done("POST", f"{upload}/rows", {"rows": [{"site": [1]}], "skipInvalidRows": True})
    publication.done("POST", f"{upload}/quarantine/replay", {})
    publication.done("DELETE", f"{upload}/quarantine")
    publication.release()
    publication.done("POST", publication.version("v1.0", "unrelease"))
    publication.release()
    publication.publish("gone", "more", [{"site": "c"}])
    publication.done("DELETE", publication.version("v1.0"))
    publication.done("POST", publication.version("v1.0", "undelete"))
    publication.done("POST", f"{publication.dataset()}/versions")
    publication.add_upload("t", "later", [{"site": "d"}], SITE)
    publication.done("DELETE", f"{publication.table('t')}/uploads/later")
    publication.done("DELETE", publication.table("gone"))
    entries = log_of(publication)
    second = publication.done("GET", publication.dataset())["version"]["tag"]
    stream = f"{name}:next.t/uploads/u"
    assert acts_of(entries) == [
        ("dataset.create", name, {"publicAccessLevel": "none"}),
        ("access.grant", name, {"grantee": "audit_editor", "accessLevel": "data", "before": "none"}),
        ("access.grant", name, {"grantee": "audit_editor", "accessLevel": "edit", "before": "data"}),
        ("access.revoke", name, {"grantee": "audit_editor", "before": "edit"}),
        ("access.public", name, {"publicAccessLevel": "data", "before": "none"}),
        ("request.undo", stream, {"key": "k", "rows": "1"}),
        ("quarantine.replay", stream, {"rows": "1"}),
        ("quarantine.empty", stream, {"rows": "1"}),
        ("version.release", f"{name}:v1.0", {}),
        ("version.unrelease", f"{name}:v1.0", {}),
        ("version.release", f"{name}:v1.0", {}),
        ("version.release", f"{name}:{second}", {}),
        ("version.delete", f"{name}:v1.0", {}),
        ("version.undelete", f"{name}:v1.0", {}),
        ("upload.delete", f"{name}:next.t/uploads/later", {"rows": "1"}),
        ("table.delete", f"{name}:next.gone", {}),
    ]
    assert {(entry["userName"], entry["address"], entry["systemUser"]) for entry in entries} == {
        ("demo", "127.0.0.1", None)
    }
    assert all(entry["tokenId"] and entry["requestId"] for entry in entries)
    now = time.time_ns() // 1_000_000
    assert all(now - 600_000 < entry["doneAt"] <= now + 1_000 for entry in entries)


def test_what_did_not_happen_is_not_written_down(publication: Publication) -> None:
    """An act that is refused leaves no entry: entry and act are one transaction."""
    access = f"{publication.dataset()}/access"
    publication.refused(404, "PUT", f"{access}/nobody_at_all", {"accessLevel": "data"})
    publication.refused(404, "DELETE", f"{access}/lab")
    publication.refused(400, "DELETE", publication.version("next"))
    publication.refused(400, "POST", publication.version("next", "unrelease"))
    assert [entry["action"] for entry in log_of(publication)] == ["dataset.create"]


def test_a_deleted_dataset_stays_in_its_owners_log(server: ServerProcess, publication: Publication) -> None:
    """Its entries are read over its owner; a new dataset of the same name does not have them."""
    publication.done("DELETE", publication.dataset())
    name = publication.reference.partition(".")[2]
    publication.done("POST", f"/users/{server.user}/datasets", {"name": name})
    assert [entry["action"] for entry in log_of(publication)] == ["dataset.create"]
    newest = publication.done("GET", "/audit?maxResults=3")["results"]
    assert acts_of(newest)[:2] == [
        ("dataset.create", publication.reference, {"publicAccessLevel": "none"}),
        ("dataset.delete", publication.reference, {}),
    ]


def test_the_log_is_paged_and_each_entry_comes_once(publication: Publication) -> None:
    """Pages are newest first; what is added meanwhile does not move them."""
    for level in ("data", "overview", "none", "metadata"):
        publication.done("PATCH", publication.dataset(), {"publicAccessLevel": level})
    whole = publication.done("GET", f"{publication.dataset()}/audit")
    assert whole["nextPageToken"] is None
    path = f"{publication.dataset()}/audit?maxResults=2"
    page = publication.done("GET", path)
    found = page["results"]
    publication.done("PATCH", publication.dataset(), {"publicAccessLevel": "none"})
    while page["nextPageToken"] is not None:
        page = publication.done("GET", f"{path}&pageToken={page['nextPageToken']}")
        found += page["results"]
    assert found == whole["results"]


def test_who_may_see_it(publication: Publication, others: dict[str, str]) -> None:
    """Owners and administrators see it, with a token that has the scope; editors by grant do not."""
    publication.done("PUT", f"{publication.dataset()}/access/audit_editor", {"accessLevel": "edit"})
    path = f"{publication.dataset()}/audit"
    publication.refused(403, "GET", path, token=others["editor"])
    publication.refused(404, "GET", path, token=others["stranger"])
    publication.refused(401, "GET", path, token="")
    publication.refused(403, "GET", "/audit", token=others["reader"])
    publication.refused(403, "GET", "/audit?owner=lab", token=others["stranger"])
    publication.refused(403, "GET", "/audit?owner=demo", token=others["stranger"])
    publication.refused(404, "GET", "/audit?owner=nobody_at_all")
    own = publication.ask("GET", "/audit", token=others["stranger"]).json()["results"]
    assert {entry["subject"] for entry in own} == {"audit_stranger"}


def test_commands_are_written_down_with_who_ran_them(server: ServerProcess, publication: Publication) -> None:
    """What is done on the server's machine bears the name of the account there, and no address."""
    data_dir = server.data_dir
    rowkeep("user", "create", "audited", data_dir=data_dir)
    rowkeep("organization", "create", "audited_lab", "--admin", "audited", data_dir=data_dir)
    rowkeep("organization", "add-member", "audited_lab", server.user, "--admin", data_dir=data_dir)
    rowkeep("organization", "remove-member", "audited_lab", "audited", data_dir=data_dir)
    rowkeep("token", "create", "--user", "audited", "--scope", "data.data", data_dir=data_dir)
    token = rowkeep("token", "list", data_dir=data_dir).splitlines()[-1].split()[0]
    rowkeep("token", "revoke", token, data_dir=data_dir)
    rowkeep("access", "grant", publication.reference, "audited", "data", data_dir=data_dir)
    lab = publication.done("GET", "/audit?owner=audited_lab")["results"]
    assert acts_of(lab) == [
        ("member.remove", "audited_lab", {"member": "audited"}),
        ("member.set", "audited_lab", {"member": "demo", "role": "administrator"}),
        ("organization.create", "audited_lab", {"administrator": "audited"}),
    ]
    of_user = json.loads(rowkeep("audit", "audited", "--format", "json", data_dir=data_dir))
    assert [(entry["action"], entry["details"]) for entry in of_user] == [
        ("token.revoke", f"token={token}"),
        ("token.create", f"token={token}, scopes=data.data"),
        ("user.create", ""),
    ]
    of_dataset = json.loads(rowkeep("audit", publication.reference, "--format", "json", data_dir=data_dir))
    assert [entry["user"] for entry in of_dataset] == [f"{getpass.getuser()} (command)", server.user]
    assert of_dataset[0]["address"] is None
    assert of_dataset[1]["address"] == "127.0.0.1"


def test_links_revoked_are_written_down(server: ServerProcess) -> None:
    """What concerns the whole server is listed by the command without a name."""
    rowkeep("token", "revoke-links", data_dir=server.data_dir)
    (newest,) = json.loads(rowkeep("audit", "--count", "1", "--format", "json", data_dir=server.data_dir))
    assert (newest["action"], newest["subject"]) == ("links.revoke", "server")
    assert (
        "there is no user or organization ghost"
        in refusal("audit", "ghost", data_dir=server.data_dir).lower()
    )


def test_requests_at_the_same_time_are_told_apart(server: ServerProcess, others: dict[str, str]) -> None:
    """Each entry bears the token and the id of its own request, whatever else is answered meanwhile."""
    publications = [Publication(server) for _ in range(2)]
    for publication in publications:
        publication.done("PUT", f"{publication.dataset()}/access/audit_editor", {"accessLevel": "edit"})
        publication.add_table("t")
    asyncio.run(_delete_side_by_side(server, publications, others["editor"]))
    for publication in publications:
        made = [entry for entry in log_of(publication) if entry["action"] == "upload.delete"]
        assert {(entry["userName"], entry["requestId"]) for entry in made} == {
            (_user_of(number), f"{publication.reference}-{number}") for number in range(UPLOADS)
        }
        publication.close()


UPLOADS = 8


def _user_of(number: int) -> str:
    return "audit_editor" if number % 2 else "demo"


async def _delete_side_by_side(server: ServerProcess, publications: list[Publication], editor: str) -> None:
    """Deletes uploads over many connections at a time, those of odd numbers as the editor."""
    async with plain_http.async_client(base_url=server.url, timeout=60) as client:

        async def delete(publication: Publication, number: int) -> None:
            headers = {
                "Authorization": f"Bearer {editor if number % 2 else server.token}",
                "X-Request-Id": f"{publication.reference}-{number}",
            }
            path = f"{publication.table('t')}/uploads"
            made = await client.post(path, json={"name": f"u{number}", "type": "stream"}, headers=headers)
            made.raise_for_status()
            (await client.delete(f"{path}/u{number}", headers=headers)).raise_for_status()

        await asyncio.gather(
            *(delete(publication, number) for publication in publications for number in range(UPLOADS))
        )
