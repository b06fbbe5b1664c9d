"""docs/sql.md does what it says: its commands are pasted and run."""

import json
import os
import subprocess
from pathlib import Path

from tests import plain_http
from tests.api.querying import QueryClient
from tests.guides import blocks_of
from tests.house.sources import ROOT
from tests.server_process import ServerProcess

PAGE = (ROOT / "docs" / "sql.md").read_text(encoding="utf-8")
SCHEMA = [
    {"name": "day", "type": "date"},
    {"name": "site", "type": "string"},
    {"name": "score", "type": "float"},
]


def test_the_pages_queries_and_commands(server: ServerProcess, tmp_path: Path) -> None:
    """The first query has the rows that one expects of it; the commands print a query and rows."""
    with plain_http.client(
        base_url=server.url, headers={"Authorization": f"Bearer {server.token}"}
    ) as client:
        client.post(f"/users/{server.user}/datasets", json={"name": "survey"})
        client.post(f"/datasets/{server.user}.survey/tables", json={"name": "answers"})
        path = f"/tables/{server.user}.survey.answers/uploads"
        client.post(path, json={"name": "s", "type": "stream", "schema": SCHEMA})
        rows = [
            {"day": "2024-01-02", "site": "a", "score": 2},
            {"day": "2023-01-01", "site": "b", "score": 1},
        ]
        assert client.post(f"{path}/s/rows", json={"rows": rows}).status_code == 201
        blocks = [(language, text.replace("me.", f"{server.user}.")) for language, text in blocks_of(PAGE)]
        [first, *_] = [text for language, text in blocks if language == "sql"]
        assert QueryClient(client).rows(first) == [["a", 1, 2.0]]
    environment = {**os.environ, "TOKEN": server.token, "URL": server.url, "NO_PROXY": "127.0.0.1"}
    commands = [text for language, text in blocks if language == "sh"]
    printed = [
        subprocess.run(
            ["bash", "-c", command.replace("curl ", "curl -s ")],
            env=environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for command in commands
    ]
    assert json.loads(printed[0])["outputSchema"] == [{"name": "one", "type": "integer"}]
    assert json.loads(printed[1]) == {"day": "2024-01-02", "site": "a", "score": 2.0}
