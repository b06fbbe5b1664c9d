"""The guide to rows that do not fit, pasted: its commands print what stands below them."""

import re
import shutil
from pathlib import Path

import pytest

from tests.e2e.test_demo import README_ORIGIN, announce, folder, paste
from tests.guides import blocks_of
from tests.house.sources import ROOT
from tests.server_process import ServerProcess

__all__ = ["folder"]  # a fixture, shared with the demo


def test_commands_work_as_pasted(own_server: ServerProcess, folder: Path) -> None:
    """All commands, in one shell and in order, print what the guide shows."""
    if shutil.which("curl") is None:
        pytest.skip("needs curl")
    announce(own_server, folder)
    guide = (ROOT / "docs" / "guide-bad-rows.md").read_text(encoding="utf-8")
    blocks = blocks_of(guide)
    script = "".join(text for language, text in blocks if language == "sh")
    printed = "".join(text for language, text in blocks if not language)
    assert script.count("curl ") == 5
    script = script.replace(README_ORIGIN, own_server.url.removesuffix("/api/v1"))
    script = re.sub(r"^(curl .*)$", r"\1; echo", script, flags=re.MULTILINE)
    output = paste(["bash", "-euc", script], folder)
    assert [line for line in output.splitlines() if line] == printed.splitlines()
