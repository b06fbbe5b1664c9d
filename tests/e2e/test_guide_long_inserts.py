"""The guide to long inserts, pasted: its commands print what stands below them, its class survives kills."""

import shutil
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from tests import plain_http
from tests.e2e.test_demo import README_ORIGIN, announce, folder, paste
from tests.guides import blocks_of, python_of
from tests.house.sources import ROOT
from tests.server_process import ServerProcess

__all__ = ["folder"]  # a fixture, shared with the demo

GUIDE = (ROOT / "docs" / "guide-long-inserts.md").read_text(encoding="utf-8")
UPLOAD = "/tables/demo.weather.measurements/uploads/live"


def test_commands_work_as_pasted(own_server: ServerProcess, folder: Path) -> None:
    """All commands of the guide, in one shell and in order, print what stands below them."""
    if shutil.which("curl") is None:
        pytest.skip("needs curl")
    announce(own_server, folder)
    blocks = blocks_of(GUIDE)
    script = "".join(text for language, text in blocks if language == "sh")
    printed = "".join(text for language, text in blocks if not language)
    assert script.count("acks=true") == 5
    script = script.replace(README_ORIGIN, own_server.url.removesuffix("/api/v1"))
    assert paste(["bash", "-euc", script], folder).splitlines() == printed.splitlines()


def test_the_class_works_as_pasted(own_server: ServerProcess, folder: Path) -> None:
    """Over a server that is killed and one that stops in order, each row is in once and in order."""
    announce(own_server, folder)
    snippet = python_of(GUIDE)
    defined: dict[str, Any] = {}
    exec(snippet, defined)
    url = f"{own_server.url}{UPLOAD}/rows"
    insert = defined["LongInsert"](url, own_server.token, "k")
    port = urlsplit(own_server.url).port or 0
    for number in range(300):
        insert.insert({"count": number})
        if number == 100:
            own_server.kill()
            own_server.start(port)
        if number == 200:
            own_server.stop()
            own_server.start(port)
    insert.flush()
    successor = defined["LongInsert"](url, own_server.token, "k")
    assert successor.settled == 300
    successor.insert({"count": 300})
    successor.flush()
    successor.insert({"count": {}})
    with pytest.raises(RuntimeError, match="Row 301: "):
        successor.flush()
    rows = plain_http.get(
        f"{own_server.url}/tables/demo.weather.measurements/rows",
        headers={"Authorization": f"Bearer {own_server.token}"},
    )
    assert [line["count"] for line in map(_decoded, rows.text.splitlines())] == list(range(301))


def _decoded(line: str) -> dict[str, Any]:
    found: dict[str, Any] = httpx.Response(200, text=line).json()
    return found
