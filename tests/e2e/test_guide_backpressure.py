"""The guide to backpressure, pasted: its commands print what stands below them, its client obeys."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.test_demo import README_ORIGIN, announce, paste
from tests.guides import blocks_of
from tests.house.sources import ROOT
from tests.server_process import ServerProcess

GUIDE = (ROOT / "docs" / "guide-backpressure.md").read_text(encoding="utf-8")


@pytest.fixture
def limited_server(tmp_path: Path) -> Iterator[ServerProcess]:
    """A server with the limits of the guide."""
    started = ServerProcess(tmp_path / "data", token_requests_per_second_max="0.5", rate_burst_seconds="10")
    started.start()
    yield started
    started.close()


def test_guide_works_as_pasted(limited_server: ServerProcess, tmp_path: Path) -> None:
    """Five inserts go, the sixth is 429; after that the client waits as told and inserts all the same."""
    if shutil.which("curl") is None:
        pytest.skip("needs curl")
    (tmp_path / "rowkeep-data").mkdir()
    (tmp_path / "rowkeep-data" / "demo-token").write_text(f"{limited_server.token}\n")
    announce(limited_server, tmp_path)
    blocks = blocks_of(GUIDE)
    (script,) = [text for language, text in blocks if language == "sh"]
    (snippet,) = [text for language, text in blocks if language == "python"]
    printed = [text for language, text in blocks if not language][-1]
    script = script.replace(README_ORIGIN, limited_server.url.removesuffix("/api/v1"))
    assert paste(["bash", "-euc", script], tmp_path).splitlines() == printed.splitlines()
    url = f"{limited_server.url}/tables/demo.weather.measurements/uploads/live/rows"
    call = f"insert_politely({url!r}, {limited_server.token!r}, [[{{'site': 'Bern'}}]] * 2)"
    done = subprocess.run(
        [sys.executable, "-c", f"import os\nos.environ['NO_PROXY'] = '*'\n{snippet}\n{call}\nprint('done')"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stdout.strip()) == (0, "done"), done.stderr
