"""The guides' examples for a page, run in a browser on a page of another origin."""

import http.server
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests import plain_http
from tests.api.stream import Stream
from tests.e2e.browser import chromium
from tests.guides import blocks_of
from tests.house.sources import ROOT
from tests.server_process import ServerProcess


def example(page: str) -> str:
    """The JavaScript on a page of the documentation."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    (script,) = [code for language, code in blocks_of(text) if language == "js"]
    return script


class QuietFiles(http.server.SimpleHTTPRequestHandler):
    """Serves files and logs nothing."""

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002  # the name is the library's
        """Says nothing."""


@pytest.fixture
def page_url(tmp_path: Path) -> Iterator[str]:
    """The address of a page of an origin of its own."""
    (tmp_path / "page.html").write_text("<title>a page</title>", encoding="utf-8")
    handler = partial(QuietFiles, directory=str(tmp_path))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/page.html"
    server.shutdown()
    server.server_close()


@pytest.fixture
def stream(page_url: str, tmp_path: Path) -> Iterator[Stream]:
    """A stream of a server whose operator lets the page in."""
    server = ServerProcess(tmp_path / "data", cors_origins=page_url.rsplit("/", 1)[0])
    server.start()
    made = Stream(server.url, server.token, [{"name": "site", "type": "string"}], server.user)
    yield made
    made.close()
    server.close()


def test_a_page_inserts_and_follows(page_url: str, stream: Stream) -> None:
    """A page of another origin that the operator named inserts rows and follows public ones."""
    base = str(stream.client.base_url).rstrip("/")
    token = stream.client.headers["authorization"].removeprefix("Bearer ")
    rows_url, table_rows = f"{base}{stream.upload_uri}/rows", f"{base}{stream.table_uri}/rows"
    with chromium() as browser:
        page = browser.new_page()
        page.goto(page_url)
        page.add_script_tag(content=example("guide-insert-rows.md"))
        page.add_script_tag(content=example("guide-follow.md"))
        asked = [rows_url, token]
        answer = page.evaluate(
            "([url, token]) => insert(url, token, [{site: 'Bern'}, {site: 'Chur'}])", asked
        )
        assert answer["rowsAdded"] == 2
        refused = "([url, token]) => insert(url, token, [{site: 1, n: 2}]).catch((error) => error.message)"
        assert "Row 0" in page.evaluate(refused, asked)
        opened = stream.client.patch(stream.dataset_uri, json={"publicAccessLevel": "data"})
        assert opened.status_code == 200
        released = stream.client.post(f"{stream.dataset_uri}/versions/next/release")
        assert released.status_code == 200, released.text
        followed = """(url) => new Promise((resolve) => {
            const sites = [];
            const source = follow(url, (row) => {
                sites.push(row.site);
                if (sites.length === 2) { source.close(); resolve(sites); }
            });
        })"""
        assert page.evaluate(followed, table_rows.replace(":next", "")) == ["Bern", "Chur"]


def test_a_page_of_no_named_origin_is_refused(page_url: str, server: ServerProcess) -> None:
    """By default the browser keeps a page of another origin from the server."""
    with chromium() as browser:
        page = browser.new_page()
        page.goto(page_url)
        script = "(url) => fetch(url).then(() => 'read', () => 'refused')"
        assert page.evaluate(script, f"{server.url}/openAPI.json") == "refused"
    assert plain_http.get(f"{server.url}/openAPI.json").status_code == 200
