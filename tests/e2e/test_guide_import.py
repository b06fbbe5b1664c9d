"""The guide to importing, pasted, and the page of the command line beside what commands there are."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from rowkeep.cli import COMMANDS
from rowkeep.commands import insert, remote
from tests.e2e.test_demo import README_ORIGIN, announce, folder
from tests.guides import blocks_of
from tests.house.sources import ROOT
from tests.server_process import ServerProcess

__all__ = ["folder"]  # a fixture, shared with the demo

GUIDE = (ROOT / "docs" / "guide-import.md").read_text(encoding="utf-8")
PAGE = (ROOT / "docs" / "command-line.md").read_text(encoding="utf-8")


def without_ids(text: str) -> list[str]:
    """The lines of a text; a dataset's id is another on each server."""
    return re.sub(r"demo\.panel:\w+:", "demo.panel:ID:", text).splitlines()


def test_the_guide_works_as_pasted(own_server: ServerProcess, folder: Path) -> None:
    """All its commands, in one shell and in order, print what stands below them."""
    announce(own_server, folder)
    blocks = blocks_of(GUIDE)
    script = "".join(text for language, text in blocks if language == "sh")
    printed = "".join(text for language, text in blocks if not language)
    assert script.count("rowkeep import") == 4
    script = script.replace(README_ORIGIN, own_server.url.removesuffix("/api/v1"))
    done = subprocess.run(
        ["bash", "-euc", f'rowkeep() {{ "{sys.executable}" -m rowkeep "$@"; }}\n{script}'],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        cwd=folder,
        env=os.environ,
    )
    assert done.returncode == 0, done.stderr
    assert without_ids(done.stdout) == printed.splitlines()


def test_every_command_is_on_the_page() -> None:
    """docs/command-line.md names every command."""
    named = set(re.findall(r"`([a-z]+)", PAGE)) | set(re.findall(r"\| `([a-z]+)", PAGE))
    assert set(COMMANDS) <= named


def test_exit_statuses_are_those_of_the_page() -> None:
    """Its table has every status that a command ends with, and 0."""
    known = {
        value for place in (insert, remote) for name, value in vars(place).items() if name[:5] == "EXIT_"
    }
    assert {int(status) for status in re.findall(r"^\| (\d+) \|", PAGE, re.MULTILINE)} == known | {0}


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(shell: str) -> None:
    """The line of the page makes the shell's script, and it completes the names of commands."""
    assert f"_ROWKEEP_COMPLETE={shell}_source rowkeep" in PAGE
    program = [sys.executable, "-c", "from rowkeep.cli import main; main()"]
    words = {"COMP_WORDS": "rowkeep im", "COMP_CWORD": "1" if shell != "fish" else "im"}
    environment = {**os.environ, **words, "_ROWKEEP_COMPLETE": f"{shell}_complete"}
    done = subprocess.run(program, capture_output=True, text=True, check=False, env=environment)
    assert "import" in done.stdout
