"""Exports over HTTP: what they hold, how they are downloaded, who may, and what becomes of them."""

import csv
import io
from collections.abc import Iterator
from typing import Any

import pyarrow.parquet as pq
import pytest

from tests import plain_http
from tests.api.exporting import content, download, ended, export, exported
from tests.api.loading import load, parquet_of, workers_of
from tests.api.publishing import Publication
from tests.command_line import rowkeep
from tests.server_process import ServerProcess, wait_until

ROWS = [{"site": f"s{number}", "count": number} for number in range(100)]


@pytest.fixture
def made(server: ServerProcess) -> Iterator[Publication]:
    """A data set with a table `answers` of 100 rows, not released."""
    publication = Publication(server)
    publication.add_table("answers", description="x")
    publication.add_upload("answers", "live", ROWS)
    yield publication
    publication.close()


def rows_of_parquet(body: bytes) -> list[dict[str, Any]]:
    """The rows of a Parquet file."""
    rows: list[dict[str, Any]] = pq.read_table(io.BytesIO(body)).to_pylist()
    return rows


@pytest.mark.parametrize(
    "format_", ["csv", "jsonl", "ndjson", "parquet", "arrow", "avro", "xlsx", "dta", "sav"]
)
def test_every_format(made: Publication, format_: str) -> None:
    """Each format is made, with its own type, its length, its digest, and the name of the table."""
    found = export(made, made.table("answers"), format=format_)
    assert found["status"] == "completed", found
    assert (found["kind"], found["percentCompleted"], found["numRows"]) == ("export", 100, 100)
    assert found["table"] == {"kind": "table", "name": "answers"}
    assert found["size"] == len(content(made, found)) > 0
    suffix = {"ndjson": "jsonl"}.get(format_, format_)
    assert f'filename="answers.{suffix}"' in download(made, found).headers["content-disposition"]


def test_rows_of_files_segments_and_the_journal(made: Publication) -> None:
    """An export has the rows of loaded files and of the newest inserts, in the order of a read, once each."""
    loaded = load(made, "answers", parquet_of(site=["f1", "f2"], weight=[0.5, None]), name="f.parquet")
    assert loaded["status"] == "completed"
    found = rows_of_parquet(exported(made, made.table("answers"), format="parquet"))
    assert found == made.arrow(made.table("answers")).to_pylist()
    assert len(found) == 102


def test_an_export_is_of_its_moment(made: Publication) -> None:
    """Rows that come after an export was asked for are not in it, nor those of an undone request.

    It waits for its turn meanwhile: of two places a caller has one.
    """
    uri = f"{made.table('answers')}/uploads/live"
    big = parquet_of(site=["x"] * 100_000)
    made.add_table("large")
    load(made, "large", big, name="big.parquet")
    first = made.done("POST", f"{made.table('large')}/exports", {"format": "xlsx"})
    keyed = {"Idempotency-Key": "k"}
    made.client.post(f"{uri}/rows", json={"rows": [{"site": "undone"}]}, headers=keyed).raise_for_status()
    made.done("POST", f"{uri}/rows", {"rows": [{"site": "kept"}]})
    made.done("DELETE", f"{uri}/requests/k")
    asked = made.done("POST", f"{uri}/exports", {"format": "parquet"})
    assert asked["status"] == "queued"
    made.done("POST", f"{uri}/rows", {"rows": [{"site": "late"}]})
    made.done("DELETE", first["uri"])
    rows = rows_of_parquet(content(made, ended(made, asked)))
    assert [row["site"] for row in rows[99:]] == ["s99", "kept"]


def test_a_small_export_is_completed_when_it_is_answered(made: Publication) -> None:
    """Nobody who asks for some rows has to ask again; an export of many is answered before it is done."""

    def asked() -> str:
        return str(made.done("POST", f"{made.table('answers')}/exports", {"format": "csv"})["status"])

    wait_until(lambda: asked() == "completed")  # a busy machine may take longer than is waited for


def test_selected_variables(made: Publication) -> None:
    """The files have the variables that were asked for, in that order."""
    body = exported(made, made.table("answers"), format="csv", selectedVariables=["count", "site"])
    assert next(csv.reader(io.StringIO(body.decode()))) == ["count", "site"]


def test_options_of_csv(made: Publication) -> None:
    """`nullMarker` and `bom` are in the file."""
    made.add_upload("answers", "more", [{"site": None, "count": 1}])
    body = exported(made, made.table("answers"), format="csv", nullMarker="NA", bom=True)
    assert body.startswith(b'\xef\xbb\xbf"site","count"\n')
    assert body.endswith(b"\nNA,1\n")


def test_a_query(made: Publication) -> None:
    """The result of a query can be exported."""
    reference = f"{made.reference}:next.answers"
    query = made.done("POST", "/queries", {"query": f"SELECT sum(count) AS total FROM `{reference}`"})
    assert query["status"] == "completed", query
    assert rows_of_parquet(exported(made, query["uri"], format="parquet")) == [{"total": 4950}]
    empty = made.done("POST", "/queries", {"query": f"SELECT count FROM `{reference}` WHERE FALSE"})
    assert rows_of_parquet(exported(made, empty["uri"], format="parquet")) == []


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ({"format": "xls"}, "must be one of csv, jsonl, parquet"),
        ({"format": "csv", "compression": "rar"}, "none, gzip, zstd"),
        ({"format": "dta", "nullMarker": "NA"}, "for the format csv alone"),
        ({"selectedVariables": ["nowhere"]}, "no such variable"),
        ({"partBytesMax": 1}, "1048576 or more"),
    ],
)
def test_refused_at_once(made: Publication, said: dict[str, Any], reason: str) -> None:
    """What cannot be is refused before anything is begun."""
    assert reason in made.refused(400, "POST", f"{made.table('answers')}/exports", said)


def test_names_that_do_not_fit_are_refused_at_once(made: Publication) -> None:
    """A variable that the format has no name for is told at once, in words."""
    made.add_upload("answers", "more", [{"_private": 1}])
    said = made.refused(400, "POST", f"{made.table('answers')}/exports", {"format": "sav"})
    assert "'_private'" in said


def test_a_value_that_does_not_fit_fails_the_export(made: Publication) -> None:
    """It is named with its row; nothing can be downloaded, and no file is left."""
    made.add_upload("answers", "more", [{"count": 2**53 + 1}])
    found = export(made, made.table("answers"), format="xlsx")
    assert found["status"] == "failed"
    assert "`count` of row 100 is an integer beyond 2^53" in found["errorMessage"]
    assert "no files to download" in made.refused(409, "GET", f"{found['uri']}/download")


def test_parts(made: Publication) -> None:
    """A large export has several files, each by its number, which together have every row once."""
    texts = [f"{number:06d}" + "x" * 2_000 for number in range(3_000)]
    for first in range(0, 3_000, 500):
        made.add_upload("answers", f"u{first}", [{"site": text} for text in texts[first : first + 500]])
    found = export(made, made.table("answers"), format="csv", partBytesMax=2**20)
    assert found["fileCount"] >= 3
    bodies = [content(made, found, part).decode() for part in range(found["fileCount"])]
    assert sum(map(len, bodies)) == found["size"]
    rows = [row[0] for body in bodies for row in list(csv.reader(io.StringIO(body)))[1:]]
    assert rows[100:] == texts
    assert "answers_000001.csv" in download(made, found, 1).headers["content-disposition"]
    beyond = made.refused(400, "GET", f"{found['uri']}/download?filePart={found['fileCount']}")
    assert "counts them from 0" in beyond


def test_ranges(made: Publication) -> None:
    """A download goes on where it broke off; HEAD tells the length; a range behind the end is 416."""
    found = export(made, made.table("answers"), format="csv")
    whole = content(made, found)
    rest = download(made, found, Range="bytes=10-")
    assert (rest.status_code, rest.content) == (206, whole[10:])
    assert rest.headers["content-range"] == f"bytes 10-{len(whole) - 1}/{len(whole)}"
    assert rest.headers["content-length"] == str(len(whole) - 10)
    assert download(made, found, Range="bytes=3-5").content == whole[3:6]
    assert download(made, found, Range="bytes=-4").content == whole[-4:]
    assert download(made, found, Range="lines=1-2").status_code == 200
    assert download(made, found, Range=f"bytes={len(whole)}-").status_code == 416
    tag = rest.headers["etag"]
    changed = {"Range": "bytes=10-", "If-Range": '"other"'}
    assert download(made, found, **{**changed, "If-Range": tag}).status_code == 206
    assert download(made, found, **changed).content == whole
    head = made.client.head(f"{found['uri']}/download")
    assert (head.status_code, head.headers["content-length"], head.content) == (200, str(len(whole)), b"")


def test_the_list_and_deletion(server: ServerProcess, made: Publication) -> None:
    """The caller's exports come newest first; a deleted one is gone with its file."""
    first = export(made, made.table("answers"), format="csv")
    second = export(made, made.table("answers"), format="jsonl")
    assert [each["id"] for each in made.done("GET", "/exports?maxResults=2")["results"]] == [
        second["id"],
        first["id"],
    ]
    assert files_of(server, first["id"])
    assert made.done("DELETE", first["uri"]) is None
    assert files_of(server, first["id"]) == []
    made.refused(404, "GET", first["uri"])
    assert files_of(server, second["id"])


def files_of(server: ServerProcess, identifier: str) -> list[str]:
    """The files of an export in the data directory."""
    return [file.name for file in (server.data_dir / "exports").glob(f"{identifier}*")]


def test_cancel(server: ServerProcess, made: Publication) -> None:
    """An export that is cancelled stays to be seen as such; its worker ends and its files are nobody's."""
    count = 300_000
    load(made, "answers", parquet_of(site=["x" * 20] * count, n=list(range(count))), name="big.parquet")
    asked = made.done("POST", f"{made.table('answers')}/exports", {"format": "xlsx"})
    wait_until(lambda: workers_of(server))
    made.done("DELETE", asked["uri"])
    assert made.done("GET", asked["uri"])["status"] == "cancelled"
    wait_until(lambda: not workers_of(server))
    assert files_of(server, asked["id"]) == []


def test_access_is_asked_again(server: ServerProcess) -> None:
    """Who has lost access keeps the export and can download nothing of it; a stranger sees no export."""
    made = Publication(server, public_access_level="data")
    made.publish("answers", "live", ROWS)
    anonymous = made.ask("POST", f"{made.table('answers', 'current')}/exports", {"format": "csv"}, token="")
    assert anonymous.status_code == 200, anonymous.text
    found = ended(made, anonymous.json())
    path = f"{server.url}{found['uri']}/download"
    assert plain_http.get(path).status_code == 200
    made.done("PATCH", made.dataset(), {"publicAccessLevel": "none"})
    assert plain_http.get(path).status_code == 401
    own = export(made, made.table("answers", "current"), format="csv")
    assert made.ask("GET", own["uri"], token="").status_code == 401
    made.close()


def test_a_link(server: ServerProcess, made: Publication) -> None:
    """A link needs no token, bears the file's name, and is worth no more than the token that made it."""
    token = rowkeep("token", "create", "--user", server.user, data_dir=server.data_dir)
    asked = made.ask("POST", f"{made.table('answers')}/exports", {"format": "csv"}, token=token)
    found = ended(made, asked.json())
    link = made.ask("POST", f"{found['uri']}/downloadLinks", {}, token=token).json()
    assert link["url"].endswith("/answers.csv")
    whole = content(made, found)
    assert plain_http.get(link["url"]).content == whole
    assert plain_http.get(link["url"], headers={"Range": "bytes=5-"}).content == whole[5:]
    changed = link["url"].replace("/answers.csv", "A/answers.csv")
    assert plain_http.get(changed).status_code == 404
    listed = rowkeep("token", "list", data_dir=server.data_dir).splitlines()
    rowkeep("token", "revoke", listed[-1].split()[0], data_dir=server.data_dir)
    assert plain_http.get(link["url"]).status_code == 401


def test_all_links_end_at_once(own_server: ServerProcess) -> None:
    """`rowkeep token revoke-links` makes every link of before worthless, and new ones can be made."""
    made = Publication(own_server)
    made.add_table("answers")
    made.add_upload("answers", "live", ROWS)
    found = export(made, made.table("answers"), format="csv")
    before = made.done("POST", f"{found['uri']}/downloadLinks", {})["url"]
    rowkeep("token", "revoke-links", data_dir=own_server.data_dir)
    assert plain_http.get(before).status_code == 404
    after = made.done("POST", f"{found['uri']}/downloadLinks", {})["url"]
    assert plain_http.get(after).status_code == 200
    made.close()


def test_rows_as_a_file(server: ServerProcess, made: Publication) -> None:
    """What fits a request can be had at once, as a file with its name; nothing of it is kept."""
    rows = f"{made.table('answers')}/rows"
    answer = made.client.get(rows, params={"format": "parquet", "maxResults": 3})
    assert rows_of_parquet(answer.content) == ROWS[:3]
    assert 'filename="answers.parquet"' in answer.headers["content-disposition"]
    assert made.client.get(rows, params={"format": "xlsx"}).content.startswith(b"PK")
    csv_ = made.client.get(rows, params={"format": "csv", "bom": "true", "selectedVariables": "count"})
    assert csv_.content.startswith(b'\xef\xbb\xbf"count"\n0\n')
    made.add_upload("answers", "more", [{"count": 2**53 + 1}])
    assert "beyond 2^53" in made.refused(400, "GET", f"{rows}?format=xlsx")
    assert list((server.data_dir / "jobs").glob("export-*")) == []
