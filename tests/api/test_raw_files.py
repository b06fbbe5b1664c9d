"""Raw files: the files of file index tables. Source: contract 4.9."""

import base64
import hashlib
import itertools
from collections.abc import Iterator
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest

from tests.api.publishing import Json, Publication
from tests.arrow_streams import table_of
from tests.command_line import rowkeep, run
from tests.server_process import ServerProcess

PHOTO = b"\x89PNG not really \x00\xff" * 100
TEXT = "Zürich\n".encode()
COLUMNS = ["file_id", "file_name", "size", "md5_hash", "added_at"]
numbers = itertools.count(1)


@pytest.fixture
def made(server: ServerProcess) -> Iterator[Publication]:
    """A data set with a file index table, `files`."""
    publication = Publication(server)
    table = publication.add_table("files", isFileIndex=True)
    assert table["isFileIndex"] is True
    yield publication
    publication.close()


def sent(made: Publication, *contents: bytes, table: str = "files") -> list[str]:
    """The ids of temporary uploads with these contents."""
    drafts = [{"size": len(content), "name": f"part {number}"} for number, content in enumerate(contents)]
    results = made.done("POST", f"{made.table(table)}/tempUploads", {"tempUploads": drafts})["results"]
    for result, content in zip(results, contents, strict=True):
        assert made.client.put(result["url"], content=content).status_code == 200
    return [result["id"] for result in results]


def add(made: Publication, table: str = "files", **contents: bytes) -> list[Json]:
    """Files that were added, named by the keywords."""
    identifiers = sent(made, *contents.values(), table=table)
    return added(made, dict(zip(contents, identifiers, strict=True)), table)


def added(made: Publication, named: dict[str, str], table: str = "files") -> list[Json]:
    """Files that were added of temporary uploads, by their names."""
    answer = made.ask("POST", f"{made.table(table)}/rawFiles", drafts_of(named))
    assert answer.status_code == 201, answer.text
    body = answer.json()
    assert body["kind"] == "rawFileList"
    results: list[Json] = body["results"]
    return results


def drafts_of(named: dict[str, str]) -> Json:
    """The body that adds files."""
    return {"files": [{"name": name, "tempUploadId": identifier} for name, identifier in named.items()]}


def listed(made: Publication, version: str = "next", **query: str) -> list[dict[str, Any]]:
    """The files of the table as the Arrow list shows them."""
    answer = made.client.get(f"{made.table('files', version)}/rawFiles", params={"format": "arrow", **query})
    assert answer.status_code == 200, answer.text
    rows: list[dict[str, Any]] = table_of(answer.content).to_pylist()
    return rows


def names_of(made: Publication, version: str = "next") -> list[str]:
    """The names of the table's files."""
    return [row["file_name"] for row in listed(made, version)]


def md5_of(content: bytes) -> str:
    """An MD5 as the API shows it."""
    return base64.b64encode(hashlib.md5(content, usedforsecurity=False).digest()).decode()


def contents_kept(server: ServerProcess) -> set[str]:
    """The names of the contents on the server's disk."""
    return {file.name for file in (server.data_dir / "raw_files").iterdir()}


def test_files_are_added_listed_and_fetched(made: Publication) -> None:
    """What was sent comes back, by the answer, by the list and as bytes with their digest."""
    photo, text = added(made, dict(zip(["photos/a.png", "notes.txt"], sent(made, PHOTO, TEXT), strict=True)))
    assert {"kind", "id", "uri", "url", "name", "md5Hash", "size", "addedAt"} == set(photo)
    assert (photo["kind"], photo["name"], photo["size"]) == ("rawFile", "photos/a.png", len(PHOTO))
    assert text["md5Hash"] == md5_of(TEXT)
    table = table_of(made.client.get(f"{made.table('files')}/rawFiles?format=arrow").content)
    assert table.column_names == COLUMNS
    assert str(table.schema.field("size").type) == "int64"
    shown = table.to_pylist()[0]
    assert (shown["file_id"], shown["size"], shown["md5_hash"]) == (photo["id"], len(PHOTO), md5_of(PHOTO))
    answer = made.client.get(photo["uri"])
    assert answer.content == PHOTO
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["content-digest"] == f"md5=:{md5_of(PHOTO)}:"
    assert answer.headers["content-length"] == str(len(PHOTO))
    assert 'filename="a.png"' in answer.headers["content-disposition"]


def test_a_range_of_a_file(made: Publication) -> None:
    """206 with what was asked for; 416 behind the end."""
    uri = add(made, a=PHOTO)[0]["uri"]
    part = made.client.get(uri, headers={"Range": "bytes=5-9"})
    assert (part.status_code, part.content) == (206, PHOTO[5:10])
    assert part.headers["content-range"] == f"bytes 5-9/{len(PHOTO)}"
    assert made.client.get(uri, headers={"Range": f"bytes={len(PHOTO)}-"}).status_code == 416
    head = made.client.head(uri)
    assert (head.content, head.headers["content-length"]) == (b"", str(len(PHOTO)))


def test_files_are_rows(made: Publication) -> None:
    """A file index table has a row for each file, for every way to read rows."""
    file = add(made, a=PHOTO, b=b"")[0]
    table = made.done("GET", made.table("files"))
    assert (table["numRows"], table["variableCount"]) == (2, 5)
    rows = made.rows("files", "next")
    assert rows[0].items() >= {"file_id": file["id"], "file_name": "a", "size": len(PHOTO)}.items()
    variables = made.done("GET", f"{made.table('files')}/variables")["results"]
    assert [variable["name"] for variable in variables if variable["isFileId"]] == ["file_id"]
    verified = made.done("GET", f"{made.table('files')}/uploads/files/verify")
    assert verified["isIntact"] is True, verified


def test_the_list_as_it_was(made: Publication) -> None:
    """304 where nothing has changed since; the list again after an addition, and after a removal."""
    file = add(made, a=PHOTO)[0]
    path = f"{made.table('files')}/rawFiles"
    later = {"If-Modified-Since": formatdate(file["addedAt"] / 1000 + 2, usegmt=True)}
    unchanged = made.client.get(path, headers=later)
    assert (unchanged.status_code, unchanged.content) == (304, b"")
    earlier = {"If-Modified-Since": formatdate(file["addedAt"] / 1000 - 2, usegmt=True)}
    assert made.client.get(path, headers=earlier).status_code == 200
    within = {"If-Modified-Since": formatdate(file["addedAt"] // 1000, usegmt=True)}
    assert made.client.get(path, headers=within).status_code == 200, "it may have changed after that"
    for nonsense in ("yesterday", ""):
        assert made.client.get(path, headers={"If-Modified-Since": nonsense}).status_code == 200


def test_content_is_stored_once(made: Publication, server: ServerProcess) -> None:
    """Files with the same bytes share them on the disk, in one table and in several."""
    content = f"only here {next(numbers)} {made.reference}".encode()
    before = contents_kept(server)
    made.add_table("others", isFileIndex=True)
    files = [*add(made, one=content, two=content), *add(made, "others", three=content)]
    assert contents_kept(server) - before == {hashlib.sha256(content).hexdigest()}
    assert len({file["id"] for file in files}) == 3
    made.done("DELETE", files[0]["uri"])
    assert made.client.get(files[1]["uri"]).content == content


def test_a_file_is_removed(made: Publication) -> None:
    """A removed file is in no list, gives no bytes, and frees its name."""
    first, second = add(made, a=PHOTO, b=TEXT)
    made.done("DELETE", first["uri"])
    assert names_of(made) == ["b"]
    assert [row["file_name"] for row in made.rows("files", "next")] == ["b"]
    made.refused(404, "GET", first["uri"])
    made.refused(404, "DELETE", first["uri"])
    assert made.done("GET", made.table("files"))["numRows"] == 1
    add(made, a=TEXT)
    assert names_of(made) == ["b", "a"]
    assert made.client.get(second["uri"]).content == TEXT


def test_a_request_that_is_repeated(made: Publication) -> None:
    """The answer that was lost is given again, and nothing is added twice."""
    named = dict(zip(["a", "b"], sent(made, PHOTO, TEXT), strict=True))
    first = added(made, named)
    assert added(made, named) == first
    assert names_of(made) == ["a", "b"]


def test_the_same_file_again(made: Publication) -> None:
    """A folder that is added again costs nothing; another content under a name that is taken is refused."""
    first = add(made, a=PHOTO)
    assert add(made, a=PHOTO, b=TEXT)[0] == first[0]
    identifiers = sent(made, TEXT, PHOTO)
    drafts = drafts_of(dict(zip(["a", "c"], identifiers, strict=True)))
    assert "another file named 'a'" in made.refused(400, "POST", f"{made.table('files')}/rawFiles", drafts)
    assert names_of(made) == ["a", "b"], "all or nothing"


@pytest.mark.parametrize(
    "name", ["/etc/passwd", "../up", "a/../../b", "a//b", "a/", "", "C\x00", "x" * 1025, "."]
)
def test_names_that_lead_elsewhere(made: Publication, name: str) -> None:
    """Clients make folders of names, so a name cannot lead out of where they put it."""
    (identifier,) = sent(made, TEXT)
    draft = {"files": [{"name": name or "\\", "tempUploadId": identifier}]}
    assert "cannot be named" in made.refused(400, "POST", f"{made.table('files')}/rawFiles", draft)


def test_names_as_windows_writes_them(made: Publication) -> None:
    """Backslashes are slashes."""
    (identifier,) = sent(made, TEXT)
    assert added(made, {"photos\\a.txt": identifier})[0]["name"] == "photos/a.txt"


def test_the_files_of_a_query(made: Publication) -> None:
    """A result that holds ids lists their files, under whatever name the ids have."""
    big, small = add(made, big=PHOTO, small=TEXT)
    table = f"`{made.reference}:next.files`"
    query = f"SELECT file_id AS chosen FROM {table} WHERE size > 100 UNION ALL SELECT 'nothing'"
    asked = made.done("POST", "/queries", {"query": query})
    assert asked["status"] == "completed", asked["errorMessage"]
    answer = made.client.get(f"{asked['uri']}/rawFiles", params={"fileIdVariable": "chosen"})
    (row,) = table_of(answer.content).to_pylist()
    assert (row["file_id"], row["file_name"]) == (big["id"], "big")
    assert small["id"] not in answer.text
    made.refused(400, "GET", f"{asked['uri']}/rawFiles")


def test_what_cannot_become_a_file(made: Publication) -> None:
    """Temporary uploads that are unknown, another table's, not complete or named twice."""
    path = f"{made.table('files')}/rawFiles"
    made.add_table("others", isFileIndex=True)
    (elsewhere,) = sent(made, TEXT, table="others")
    for identifier in ("0" * 32, elsewhere):
        assert "no temporary upload" in made.refused(400, "POST", path, drafts_of({"a": identifier}))
    begun = made.done("POST", f"{made.table('files')}/tempUploads", {"tempUploads": [{"size": 5}]})[
        "results"
    ][0]
    assert "not complete" in made.refused(400, "POST", path, drafts_of({"a": begun["id"]}))
    (whole,) = sent(made, TEXT)
    assert "twice" in made.refused(
        400, "POST", path, {"files": [{"name": n, "tempUploadId": whole} for n in "ab"]}
    )
    assert names_of(made) == []


def test_tables_of_rows_take_no_files(made: Publication) -> None:
    """And file index tables take no uploads and no rows."""
    made.add_table("rows")
    (identifier,) = sent(made, TEXT, table="rows")
    refusal = made.refused(400, "POST", f"{made.table('rows')}/rawFiles", drafts_of({"a": identifier}))
    assert "isFileIndex" in refusal
    made.refused(400, "GET", f"{made.table('rows')}/rawFiles?format=arrow")
    add(made, a=TEXT)
    uploads = f"{made.table('files')}/uploads"
    assert "rawFiles" in made.refused(400, "POST", uploads, {"name": "s", "type": "stream"})
    assert "rawFiles" in made.refused(400, "POST", f"{uploads}/files/rows", {"rows": [{"file_name": "x"}]})


def test_versions_keep_files(made: Publication) -> None:
    """A released file stays; the next version has it too, and adds to it."""
    (first,) = add(made, a=PHOTO)
    made.release()
    made.done("POST", f"{made.dataset()}/versions")
    assert names_of(made) == ["a"]
    (second,) = add(made, b=TEXT)
    assert (names_of(made), names_of(made, "v1.0")) == (["a", "b"], ["a"])
    assert "released" in made.refused(400, "DELETE", first["uri"])
    made.done("DELETE", second["uri"])
    assert made.client.get(first["uri"]).content == PHOTO
    made.release()
    assert names_of(made, "current") == ["a"]


def test_who_may_read_a_file(server: ServerProcess) -> None:
    """Files of released versions are as public as rows; those of the next version are the editors'."""
    made = Publication(server, "data")
    made.add_table("files", isFileIndex=True)
    (file,) = add(made, a=PHOTO)
    narrow = ("token", "create", "--user", server.user, "--scope", "public")
    stranger = rowkeep(*narrow, data_dir=server.data_dir)
    for method in ("GET", "DELETE"):
        made.refused(401, method, file["uri"], token="")
        made.refused(403, method, file["uri"], token=stranger)
    made.release()
    assert made.ask("GET", file["uri"], token="").content == PHOTO
    made.refused(401, "DELETE", file["uri"], token="")
    made.done("PATCH", made.dataset(), {"publicAccessLevel": "metadata"})
    made.refused(401, "GET", file["uri"], token="")
    made.done("DELETE", made.dataset())
    made.refused(404, "GET", file["uri"])
    made.close()


def test_a_backup_has_the_files(server: ServerProcess, made: Publication, tmp_path: Path) -> None:
    """A backup is whole with them, and `verify` tells one that was changed."""
    content = f"kept {made.reference}".encode()
    (file,) = add(made, a=content)
    rowkeep("backup", str(tmp_path / "backup"), data_dir=server.data_dir)
    rowkeep("restore", str(tmp_path / "backup"), data_dir=tmp_path / "again")
    name = hashlib.sha256(content).hexdigest()
    assert (tmp_path / "again" / "raw_files" / name).read_bytes() == content
    path = tmp_path / "backup" / "raw_files" / name
    path.write_bytes(content.upper())
    damaged = run("restore", str(tmp_path / "backup"), "--data-dir", str(tmp_path / "third"))
    assert damaged.returncode == 1
    assert f"raw_files/{name} is not what was sent" in damaged.stdout + damaged.stderr
    assert made.client.get(file["uri"]).content == content
