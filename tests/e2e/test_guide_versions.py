"""The guide to versions, followed to the letter: its shell lines and its Python snippet."""

import json
import re
import shutil
import sys
from pathlib import Path

import pytest

from tests.e2e.test_demo import README_ORIGIN, announce, folder, paste
from tests.house.sources import ROOT
from tests.server_process import ServerProcess

__all__ = ["folder"]  # a fixture, shared with the demo


def test_the_guide_works_as_pasted(own_server: ServerProcess, folder: Path) -> None:
    """Every command does what the text beside it says."""
    if shutil.which("curl") is None:
        pytest.skip("needs curl")
    announce(own_server, folder)
    guide = (ROOT / "docs" / "guide-versions.md").read_text(encoding="utf-8")
    text = guide.replace(README_ORIGIN, own_server.url.removesuffix("/api/v1"))
    shell = "\n".join(re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL))
    (snippet,) = re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    script = "set -eu\n" + re.sub(r"^(curl .*)$", r"\1; echo; echo ===", shell, flags=re.MULTILINE)
    answers = [part.strip() for part in paste(["bash", "-c", script], folder).split("===")]
    assert answers.pop() == ""
    (inserted, released, listed, refused, created, upload, more, second, both) = answers[:9]
    assert json.loads(inserted)["rowsAdded"] == 1
    assert (json.loads(released)["tag"], json.loads(released)["releaseNotes"]) == ("v1.0", "The first winter")
    assert listed.splitlines() == ['"site","count"', '"Zurich",1']
    assert json.loads(refused)["status"] == 400
    assert "demo.weather:next" in json.loads(refused)["error_description"]
    assert json.loads(created)["tag"] == "next"
    assert json.loads(upload)["name"] == "live"
    assert json.loads(more)["rowsAdded"] == 1
    assert json.loads(second)["tag"] == "v1.1"
    assert both.splitlines() == ['"site","count"', '"Zurich",1', '"Bern",2']
    third, stream, chur, continued, davos = (json.loads(text) for text in answers[9:14])
    assert (third["tag"], stream["streamId"]) == ("next", json.loads(upload)["streamId"])
    assert (chur["version"], continued["tag"], davos["version"]) == ("next", "v1.2", "next")
    assert continued["nextVersion"]["tag"] == "next"
    strategy, dropped, taken_back, again, label, variable = (json.loads(text) for text in answers[14:])
    assert strategy["uploadMergeStrategy"] == "replace"
    assert [one["tag"] for one in (dropped, taken_back, again)] == ["next", "next", "v1.2"]
    assert (label["label"], variable["label"]) == ("winter", "Visitors")
    printed = paste([sys.executable, "-c", snippet], folder)
    assert "v1.3 ['v1.0', 'v1.1', 'v1.2', 'v1.3']" in printed
    assert [site in printed for site in ("Zurich", "Bern", "Chur", "Basel", "Davos")] == [True] * 4 + [False]
