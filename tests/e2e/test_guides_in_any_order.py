"""The guides can be pasted in any order on one server, whatever port it has."""

import os
import re
import sys
from pathlib import Path

import pytest

from tests.e2e.test_demo import announce, folder, paste
from tests.guides import blocks_of
from tests.house.sources import ROOT
from tests.server_process import ServerProcess

__all__ = ["folder"]  # a fixture, shared with the demo

# The guides to access and to backpressure start servers of their own, and have tests of their own.
GUIDES = ["bad-rows", "follow", "insert-files", "insert-rows", "long-inserts", "receipts", "versions"]
_outcomes = re.compile(r'"(?:error|state|rowsAdded)":(?:"\w+"|\d+)').findall
_without_figures = re.compile(r"in [\d.]+ s: .*|\d+:\d+:\d+").sub


def script_of(guide: str) -> str:
    """All commands of a guide, in order, for one shell."""
    text = (ROOT / "docs" / f"guide-{guide}.md").read_text(encoding="utf-8")
    return "".join(code for language, code in blocks_of(text) if language == "sh")


def snippets_of(guide: str) -> str:
    """What of a guide's Python runs by itself: it prints what it did."""
    text = (ROOT / "docs" / f"guide-{guide}.md").read_text(encoding="utf-8")
    return "".join(code for language, code in blocks_of(text) if language == "python" and "print(" in code)


@pytest.fixture(params=["forwards", "backwards"])
def order(request: pytest.FixtureRequest) -> list[str]:
    """The guides in one order and in the other."""
    return GUIDES if request.param == "forwards" else GUIDES[::-1]


outcomes: dict[str, list[str]] = {}


def test_any_order_comes_to_the_same(
    own_server: ServerProcess, folder: Path, order: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each guide inserts as many rows and meets the errors that it shows, whichever came before it."""
    announce(own_server, folder)
    monkeypatch.setenv("ROWKEEP_URL", own_server.url)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    for guide in order:
        printed = paste(["bash", "-euc", script_of(guide)], folder)
        if guide == "versions":
            printed += paste([sys.executable, "-c", snippets_of(guide)], folder)
        found = _outcomes(_without_figures("", printed))
        assert outcomes.setdefault(guide, found) == found, guide
