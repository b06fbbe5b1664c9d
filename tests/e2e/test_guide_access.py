"""The access guide, pasted: its commands do what it says they print."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from rowkeep.model.access import SCOPE_OF_LEVEL, AccessLevel
from tests.guides import blocks_of
from tests.house.sources import ROOT
from tests.server_process import ServerProcess

GUIDE = (ROOT / "docs" / "guide-access.md").read_text(encoding="utf-8")
ORIGIN = "http://127.0.0.1:8080"
DATA_DIR = "./my-data"


def test_guide_works_as_pasted(own_server: ServerProcess, tmp_path: Path) -> None:
    """All commands of the guide, in one shell and in order, print what stands below them."""
    if shutil.which("curl") is None:
        pytest.skip("needs curl")
    blocks = blocks_of(GUIDE)
    script = "".join(text for language, text in blocks if language == "sh")
    printed = "".join(text for language, text in blocks if not language)
    assert script.count("status_for") > 10
    script = script.replace(ORIGIN, own_server.url.removesuffix("/api/v1"))
    script = script.replace(DATA_DIR, str(own_server.data_dir))
    done = subprocess.run(
        ["bash", "-euc", f'rowkeep() {{ "{sys.executable}" -m rowkeep "$@"; }}\n{script}'],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        cwd=tmp_path,
        env={**os.environ, "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"},
    )
    assert done.returncode == 0, done.stderr
    # JSON lines end with a line feed of their own, before the one that curl adds.
    assert [line for line in done.stdout.splitlines() if line] == printed.splitlines()


def test_guide_lists_every_level() -> None:
    """The guide's table has the levels in their order, each with the scope that it takes."""
    rows = re.findall(r"^\| (\w+) \| .* \| (?:`([a-z.]+)`)? ?\|$", GUIDE, re.MULTILINE)
    assert [name for name, _ in rows] == [level.wire_name for level in AccessLevel]
    scopes = {name: scope for name, scope in rows if scope}
    assert scopes == {level.wire_name: SCOPE_OF_LEVEL[level] for level in AccessLevel if level}
