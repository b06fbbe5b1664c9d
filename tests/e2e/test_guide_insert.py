"""The guides to inserting, pasted: their commands and snippets do what stands below them."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from rowkeep.commands import insert
from tests.e2e.test_demo import README_ORIGIN, announce, folder
from tests.guides import blocks_of
from tests.house.sources import ROOT
from tests.server_process import ServerProcess

__all__ = ["folder"]  # a fixture, shared with the demo

FILES = (ROOT / "docs" / "guide-insert-files.md").read_text(encoding="utf-8")
ROWS = (ROOT / "docs" / "guide-insert-rows.md").read_text(encoding="utf-8")


def without_figures(text: str) -> list[str]:
    """The lines of a text; how long it took and how fast it was differ from run to run."""
    return re.sub(r"in [\d.]+ s: .*", "", text).splitlines()


def test_the_guide_to_files_works_as_pasted(own_server: ServerProcess, folder: Path) -> None:
    """All its commands and its snippet, in one shell and in order, print what stands below them."""
    announce(own_server, folder)
    script = ""
    printed = ""
    for language, text in blocks_of(FILES):
        if language == "python":
            (folder / f"snippet-{len(script)}.py").write_text(text)
            script += f'"{sys.executable}" snippet-{len(script)}.py\n'
        elif language == "sh":
            script += text
        else:
            printed += text
    assert script.count("rowkeep insert") > 6
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
    assert without_figures(done.stdout) == without_figures(printed)
    assert "more.ndjson, line 3: it is not one JSON object" in done.stderr


def test_exit_statuses_are_documented() -> None:
    """The guide's table has those that the command has."""
    documented = [int(number) for number in re.findall(r"^\| (\d+) \|", FILES, re.MULTILINE)]
    statuses = [value for name, value in vars(insert).items() if name.startswith("EXIT_")]
    assert documented == sorted([0, 2, *statuses])


def without_place(text: str) -> str:
    """Answers without where their rows stand in the stream: the guide has inserted others before."""
    text = re.sub(r'"(commit|firstRow|lastRow)":\d+', r'"\1":0', text)
    return re.sub(r'"chain":"[0-9a-f]+"', '"chain":""', text)


def test_repeats_as_pasted(own_server: ServerProcess, folder: Path) -> None:
    """The guide's curl lines insert once, however often; its function outlives a server that is away."""
    if shutil.which("curl") is None:
        pytest.skip("needs curl")
    announce(own_server, folder)
    section = ROWS[ROWS.index("## Repeats") : ROWS.index("## Missing values")]
    section = section.replace(README_ORIGIN, own_server.url.removesuffix("/api/v1"))
    blocks = blocks_of(section)
    shell = "".join(text for language, text in blocks if language == "sh")
    printed = "".join(text for language, text in blocks if not language)
    environment = {**os.environ, "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}
    done = subprocess.run(
        ["bash", "-euc", shell], capture_output=True, text=True, check=True, cwd=folder, env=environment
    )
    assert without_place(done.stdout.replace("\r", "")).split() == without_place(printed).split()
    (snippet,) = [text for language, text in blocks if language == "python"]
    call = (
        "import sys\n"
        f"answer = insert({own_server.url!r} + '/tables/demo.weather.measurements/uploads/live/rows',"
        " open('rowkeep-data/demo-token').read().strip(), [{'count': 9}])\n"
        "print(answer.status_code, answer.json()['rowsAdded'])\n"
    )
    told = subprocess.run(
        [sys.executable, "-c", snippet + call],
        capture_output=True,
        text=True,
        check=True,
        cwd=folder,
        env=environment,
    )
    assert told.stdout == "201 1\n"
