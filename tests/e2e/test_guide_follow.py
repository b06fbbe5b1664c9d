"""The guide to following, pasted: its commands print what stands below them, its function survives a kill."""

import itertools
import re
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from tests import plain_http
from tests.e2e.test_demo import README_ORIGIN, announce, folder, paste
from tests.guides import blocks_of, python_of
from tests.house.sources import ROOT
from tests.server_process import ServerProcess, wait_until

__all__ = ["folder"]  # a fixture, shared with the demo

GUIDE = (ROOT / "docs" / "guide-follow.md").read_text(encoding="utf-8")

Follow = Callable[[str, str, str | None], Iterator[tuple[dict[str, Any], str]]]


def without_ids(text: str) -> list[str]:
    """The lines of a text; a table's id is another on each server."""
    return [line for line in re.sub(r"~t\.[0-9a-z-]+~", "~t.ID~", text).splitlines() if line]


def test_commands_work_as_pasted(own_server: ServerProcess, folder: Path) -> None:
    """All commands of the guide, in one shell and in order, print what stands below them."""
    if shutil.which("curl") is None:
        pytest.skip("needs curl")
    announce(own_server, folder)
    blocks = blocks_of(GUIDE)
    script = "".join(text for language, text in blocks if language == "sh")
    printed = "".join(text for language, text in blocks if not language)
    assert script.count("follow=true") == 3
    script = script.replace(README_ORIGIN, own_server.url.removesuffix("/api/v1"))
    script = re.sub(r"^(curl .* -d .*)$", r"\1; echo", script, flags=re.MULTILINE)
    assert without_ids(paste(["bash", "-euc", script], folder)) == without_ids(printed)


def test_the_function_works_as_pasted(
    own_server: ServerProcess, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The function yields each row once, over a server that is killed and started again."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    announce(own_server, folder)
    snippet = python_of(GUIDE)
    defined: dict[str, Any] = {}
    exec(snippet, defined)
    follow: Follow = defined["follow"]
    table = "/tables/demo.weather.measurements"
    authorization = {"Authorization": f"Bearer {own_server.token}"}

    def insert(counts: range) -> None:
        rows = [{"count": count} for count in counts]
        url = f"{own_server.url}{table}/uploads/live/rows"
        assert plain_http.post(url, json={"rows": rows}, headers=authorization).status_code == 201

    insert(range(3))
    came: list[tuple[int, str]] = []

    reader = threading.Thread(target=lambda: read_into(came, follow, own_server, table), daemon=True)
    reader.start()
    wait_until(lambda: len(came) == 3)
    port = urlsplit(own_server.url).port
    own_server.kill()
    own_server.start(port or 0)
    insert(range(3, 6))
    reader.join(30)
    assert [count for count, _ in came] == list(range(6))
    behind_the_fourth = follow(f"{own_server.url}{table}/rows", own_server.token, came[3][1])
    assert [row["count"] for row, _ in itertools.islice(behind_the_fourth, 2)] == [4, 5]


def test_lines_end_in_line_feeds_alone() -> None:
    """Whatever else Python takes for the end of a line stays within one, however the bytes come in parts."""
    defined: dict[str, Any] = {}
    exec(python_of(GUIDE), defined)
    lines = [f"a{mark}b" for mark in ("\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c", "\r", "")]
    data = "".join(f"{line}\n" for line in lines).encode()
    for size in (1, 3, 1_000):
        parts = [data[start : start + size] for start in range(0, len(data), size)]
        response = httpx.Response(200, content=iter(parts))
        assert list(defined["lines_of"](response)) == lines


def read_into(came: list[tuple[int, str]], follow: Follow, server: ServerProcess, table: str) -> None:
    """Follows a table until six rows have come."""
    for row, position in itertools.islice(follow(f"{server.url}{table}/rows", server.token, None), 6):
        came.append((row["count"], position))
