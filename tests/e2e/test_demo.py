"""What scripts/serve and the README tell people to paste, pasted."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.guides import blocks_of
from tests.house.sources import ROOT
from tests.server_process import ServerProcess

README_ORIGIN = "http://127.0.0.1:8080"


@pytest.fixture
def folder(own_server: ServerProcess, tmp_path: Path) -> Path:
    """A working directory that looks as it does beside scripts/serve."""
    (tmp_path / "rowkeep-data").mkdir()
    (tmp_path / "rowkeep-data" / "demo-token").write_text(f"{own_server.token}\n")
    return tmp_path


def announce(server: ServerProcess, folder: Path) -> str:
    """What demo.py prints when the server says that it listens."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "demo.py"), str(folder / "rowkeep-data" / "demo-token")],
        input=f"rowkeep: listening on {server.url}\n",
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stderr == ""
    return done.stdout


def paste(command: list[str], folder: Path) -> str:
    """What a command prints that must succeed."""
    environment = {**os.environ, "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=120, cwd=folder, env=environment
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def paste_all(text: str, folder: Path) -> list[str]:
    """Pastes the curl lines of a text, then its Python snippet; what each printed."""
    if shutil.which("curl") is None:
        pytest.skip("needs curl")
    curls = [line for line in text.splitlines() if line.startswith("curl ")]
    snippet = re.search(r"^import os$.*?^print\(.*?$", text, re.MULTILINE | re.DOTALL)
    assert snippet is not None
    return [
        *(paste(["bash", "-c", line], folder) for line in curls),
        paste([sys.executable, "-c", snippet[0]], folder),
    ]


def test_printed_lines_work_as_pasted(own_server: ServerProcess, folder: Path) -> None:
    """The endpoint and token are printed; the curl lines insert and read a row, the snippet does both."""
    text = announce(own_server, folder)
    assert f"Endpoint:  {own_server.url}\n" in text
    assert f"Token:     {own_server.token}\n" in text
    assert (folder / "rowkeep-data" / "demo-url").read_text() == f"{own_server.url}\n"
    exports = "".join(line + "\n" for line in text.splitlines() if line.startswith("export "))
    assert paste(["bash", "-euc", f"{exports}rowkeep ls demo"], folder).count("weather") == 1
    inserted, listed, frame = paste_all(text, folder)
    assert '"rowsAdded":1' in inserted
    assert '"POINT(8.54 47.37)"' in listed
    assert "Bern" in frame


def test_second_start_keeps_the_data(own_server: ServerProcess, folder: Path) -> None:
    """Announcing again makes nothing anew: the rows are still there."""
    paste_all(announce(own_server, folder), folder)
    inserted, listed, _ = paste_all(announce(own_server, folder), folder)
    assert '"rowsAdded":1' in inserted
    assert listed.count("Zurich") == 2
    assert listed.count("Bern") == 1


def test_readme_lines_work_as_pasted(own_server: ServerProcess, folder: Path) -> None:
    """The lines of the README do the same, once the server listens where it says."""
    announce(own_server, folder)
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert README_ORIGIN in readme
    text = readme.replace(README_ORIGIN, own_server.url.removesuffix("/api/v1"))
    inserted, listed, frame = paste_all(text, folder)
    (answer,) = re.findall(r"^{\"kind\":\"insertRowsResponse\".*}$", readme, re.MULTILINE)
    assert answer in inserted
    assert "Zurich" in listed
    assert "Bern" in frame
    (commands,) = [code for language, code in blocks_of(readme) if language == "sh"]
    released = paste(
        ["bash", "-euc", f'rowkeep() {{ "{sys.executable}" -m rowkeep "$@"; }}\n{commands}'], folder
    )
    assert "v1.0 demo.first" in released
