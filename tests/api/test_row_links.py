"""Links to rows: whoever has one reads them as they are now, as the one who made it would."""

import io
from collections.abc import Iterator
from urllib.parse import urlsplit

import pandas as pd
import pyarrow.parquet as pq
import pytest

from rowkeep.model.links import DownloadLink, RowLink, signed
from rowkeep.services.access import token_hash
from rowkeep.storage.doors import read_snapshot
from rowkeep.storage.local_files import DataDirectory
from rowkeep.storage.opening import open_database
from tests import plain_http
from tests.api.exporting import export
from tests.api.publishing import Publication
from tests.command_line import rowkeep
from tests.server_process import ServerProcess

ROWS = [{"site": f"s{number}", "count": number} for number in range(20)]


@pytest.fixture
def made(server: ServerProcess) -> Iterator[Publication]:
    """A data set with a table `answers`, not released."""
    publication = Publication(server)
    publication.add_table("answers")
    publication.add_upload("answers", "live", ROWS)
    yield publication
    publication.close()


def link_of(made: Publication, **said: object) -> str:
    """A link to the rows of the table."""
    url: str = made.done("POST", f"{made.table('answers')}/downloadLinks", said)["url"]
    return url


def fetched(url: str) -> bytes:
    """What is behind a link. The first file of a server waits for the process that writes it."""
    return plain_http.get(url, timeout=120).content


def test_a_program_without_a_token_reads_the_rows_as_they_are(made: Publication) -> None:
    """`pd.read_csv(url)` works, and what was inserted after the link was made is in it."""
    url = link_of(made)
    assert url.endswith("/answers.csv")
    assert pd.read_csv(url).to_dict("records") == ROWS
    made.done("POST", f"{made.table('answers')}/uploads/live/rows", {"rows": [{"site": "new", "count": 7}]})
    answer = plain_http.get(url)
    assert answer.headers["content-disposition"] == 'attachment; filename="answers.csv"'
    assert pd.read_csv(io.BytesIO(answer.content)).to_dict("records")[-1] == {"site": "new", "count": 7}


def test_every_format_and_option(made: Publication) -> None:
    """A link says the format, the variables, how many rows, and how null is written."""
    body = fetched(link_of(made, format="parquet", selectedVariables=["count"], maxResults=3))
    assert pq.read_table(io.BytesIO(body)).to_pylist() == [{"count": number} for number in range(3)]
    assert fetched(link_of(made, format="xlsx")).startswith(b"PK")
    made.add_upload("answers", "more", [{"count": 1}])
    marked = fetched(link_of(made, nullMarker="NA", bom=True))
    assert marked.startswith(b"\xef\xbb\xbf")
    assert marked.splitlines()[-1] == b"NA,1"
    upload = made.done("POST", f"{made.table('answers')}/uploads/more/downloadLinks", {"format": "jsonl"})
    assert upload["url"].endswith("/more.jsonl")
    assert plain_http.get(upload["url"]).json() == {"count": 1}


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"format": "pdf"}, "format"),
        ({"selectedVariables": ["none"]}, "none"),
        ({"maxResults": -1}, "maxResults"),
        ({"format": "parquet", "bom": True}, "csv alone"),
    ],
)
def test_what_cannot_be_a_link_is_refused_when_it_is_asked_for(
    made: Publication, said: dict[str, object], words: str
) -> None:
    """Not by an error in a colleague's spreadsheet."""
    assert words in made.refused(400, "POST", f"{made.table('answers')}/downloadLinks", said)


def test_a_link_that_programs_would_cut_is_refused(made: Publication) -> None:
    """Spreadsheets take addresses of some 2,000 characters."""
    names = [f"v{number}_{'x' * 50}" for number in range(40)]
    made.add_upload("answers", "wide", [dict.fromkeys(names, 1)])
    said = {"selectedVariables": names}
    path = f"{made.table('answers')}/downloadLinks"
    assert "Select fewer variables" in made.refused(400, "POST", path, said)


def test_a_link_ends_with_the_token_that_made_it(server: ServerProcess, made: Publication) -> None:
    """When that is revoked nobody reads by it; what was changed in it makes it none."""
    token = rowkeep("token", "create", "--user", server.user, data_dir=server.data_dir)
    asked = made.ask("POST", f"{made.table('answers')}/downloadLinks", {}, token=token)
    url = asked.json()["url"]
    assert plain_http.get(url).status_code == 200
    assert plain_http.get(url.replace("/answers.csv", "A/answers.csv")).status_code == 404
    listed = rowkeep("token", "list", data_dir=server.data_dir).splitlines()
    rowkeep("token", "revoke", listed[-1].split()[0], data_dir=server.data_dir)
    assert plain_http.get(url).status_code == 401


def test_access_is_asked_again_at_each_fetch(server: ServerProcess) -> None:
    """A link to rows that were public leads nowhere once they are not; whoever sees no rows gets no link."""
    made = Publication(server, public_access_level="data")
    made.publish("answers", "live", ROWS)
    path = f"{made.table('answers', 'current')}/downloadLinks"
    url = made.ask("POST", path, {}, token="").json()["url"]
    assert plain_http.get(url).status_code == 200
    made.done("PATCH", made.dataset(), {"publicAccessLevel": "none"})
    assert plain_http.get(url).status_code in (401, 404)
    assert made.ask("POST", path, {}, token="").status_code in (401, 404)
    made.close()


def test_links_of_one_kind_are_none_of_the_other_and_expire(own_server: ServerProcess) -> None:
    """What is signed as a link to a file opens no rows, nor the reverse, nor either after its hour."""
    made = Publication(own_server)
    made.add_table("answers")
    made.add_upload("answers", "live", ROWS)
    rows = link_of(made)
    file = made.done("POST", f"{export(made, made.table('answers'), format='csv')['uri']}/downloadLinks", {})
    base = rows.partition("/downloads/")[0]
    of_rows, of_file = (urlsplit(url).path.split("/")[-2] for url in (rows, file["url"]))
    assert plain_http.get(f"{base}/downloads/{of_rows}/a.csv").status_code == 404
    assert plain_http.get(f"{base}/downloads/rows/{of_file}/a.csv").status_code == 404
    reference = made.table("answers").rpartition("/")[2]
    own_server.stop()
    database = open_database(DataDirectory(own_server.data_dir))
    secret = read_snapshot(database, lambda view: view.exports.link_secret())
    database.close()
    own_server.start()
    hash_ = token_hash(own_server.token.encode())
    late = [
        f"rows/{signed(RowLink(reference, None, 'csv', None, None, False, None, None, hash_, 1), secret)}",
        signed(DownloadLink(of_file, 0, hash_, 1), secret),
    ]
    for text in late:
        assert plain_http.get(f"{own_server.url}/downloads/{text}/a.csv").status_code == 404
    good = RowLink(reference, None, "csv", None, None, False, None, None, hash_, 2**60)
    assert plain_http.get(f"{own_server.url}/downloads/rows/{signed(good, secret)}/a.csv").status_code == 200
    made.close()
