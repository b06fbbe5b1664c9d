"""The guide to inserting rows, pasted: its commands print what stands below them, its Python inserts."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.test_demo import README_ORIGIN, announce, folder, paste
from tests.guides import blocks_of
from tests.house.sources import ROOT
from tests.server_process import ServerProcess

__all__ = ["folder"]  # a fixture, shared with the demo

GUIDE = (ROOT / "docs" / "guide-insert-rows.md").read_text(encoding="utf-8")


def test_commands_work_as_pasted(own_server: ServerProcess, folder: Path) -> None:
    """All commands of the guide, in one shell and in order, print what stands below them."""
    if shutil.which("curl") is None or shutil.which("gzip") is None:
        pytest.skip("needs curl and gzip")
    announce(own_server, folder)
    blocks = blocks_of(GUIDE)
    script = "".join(text for language, text in blocks if language == "sh")
    printed = "".join(text for language, text in blocks if not language)
    assert script.count("curl ") >= 6
    script = script.replace(README_ORIGIN, own_server.url.removesuffix("/api/v1"))
    script = re.sub(r"^(curl .*)$", r"\1; echo", script, flags=re.MULTILINE)
    output = paste(["bash", "-euc", script], folder)
    assert [line for line in output.splitlines() if line] == printed.splitlines()


def test_the_function_works_as_pasted(own_server: ServerProcess, folder: Path) -> None:
    """The Python function inserts once, with a key."""
    announce(own_server, folder)
    call = 'print(insert(url, token, [{"site": "Zurich"}] * 3).json()["rowsAdded"])'
    assert pasted("def insert(", call, own_server) == "3"


def test_the_function_for_tables_works_as_pasted(own_server: ServerProcess, folder: Path) -> None:
    """It inserts an Arrow table."""
    announce(own_server, folder)
    call = 'print(insert_table(url, token, pa.table({"site": ["Zurich"], "count": [1]}))["rowsAdded"])'
    assert pasted("def insert_table(", call, own_server) == "1"


def pasted(definition: str, call: str, server: ServerProcess) -> str:
    """What the guide's Python with a definition prints when it is called."""
    [snippet] = [text for language, text in blocks_of(GUIDE) if language == "python" and definition in text]
    url = f"{server.url}/tables/demo.weather.measurements/uploads/live/rows"
    call = f"url, token = {url!r}, {server.token!r}\n{call}"
    done = subprocess.run(
        [sys.executable, "-c", f"{snippet}\n{call}"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={**os.environ, "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()
