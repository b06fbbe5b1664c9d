"""docs/sql.md and docs/exports.md do what they say: their commands are pasted and run."""

import json
from pathlib import Path

from tests import plain_http
from tests.api.querying import QueryClient
from tests.e2e.test_demo import announce, folder, paste
from tests.guides import blocks_of
from tests.house.sources import ROOT
from tests.server_process import ServerProcess

__all__ = ["folder"]  # a fixture, shared with the demo

PAGE = (ROOT / "docs" / "sql.md").read_text(encoding="utf-8")
EXPORTS = (ROOT / "docs" / "exports.md").read_text(encoding="utf-8")
ROWS = [
    {"day": "2024-01-02", "site": "a", "temperature": 2},
    {"day": "2023-01-01", "site": "b", "temperature": 1},
]


def test_the_pages_queries_and_commands(own_server: ServerProcess, folder: Path) -> None:
    """Pasted beside a demo server: the first query has its rows, the commands print a query and rows."""
    announce(own_server, folder)
    headers = {"Authorization": f"Bearer {own_server.token}"}
    with plain_http.client(base_url=own_server.url, headers=headers, timeout=60) as client:
        path = "/tables/demo.weather.measurements/uploads/live/rows"
        assert client.post(path, json={"rows": ROWS}).status_code == 201
        [first, *_] = [text for language, text in blocks_of(PAGE) if language == "sql"]
        assert QueryClient(client).rows(first) == [["a", 1, 2.0]]
    commands = [text for language, text in blocks_of(PAGE) if language == "sh"]
    script = "echo\n".join(commands).replace("curl ", "curl -s ")
    query, row = paste(["bash", "-euc", script], folder).splitlines()
    assert json.loads(query)["outputSchema"] == [{"name": "one", "type": "integer"}]
    assert json.loads(row)["temperature"] == 2.0
    exports = [text for language, text in blocks_of(EXPORTS) if language == "sh"]
    completed, link = paste(["bash", "-euc", "echo\n".join(exports)], folder).splitlines()
    assert json.loads(completed)["kind"] == "export"
    assert json.loads(link)["url"].startswith(own_server.url)
    assert len([path for path in folder.iterdir() if path.suffix == ".parquet"]) == 1
