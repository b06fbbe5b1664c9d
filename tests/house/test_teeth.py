"""The teeth (tests/tooth_list.py) are of the code as it is; whether they bite, `scripts/teeth` finds out."""

import pytest

from tests.house.sources import ROOT
from tests.tooth_list import TEETH, Tooth


@pytest.mark.parametrize("tooth", TEETH, ids=lambda tooth: tooth.name)
def test_a_tooth_is_there(tooth: Tooth) -> None:
    """What it takes out stands in its file, once."""
    assert (ROOT / tooth.file).read_text(encoding="utf-8").count(tooth.before) == 1


def test_every_tooth_is_told_of() -> None:
    """docs/teeth.md has a row for each, in their order."""
    page = (ROOT / "docs" / "teeth.md").read_text(encoding="utf-8")
    teeth = page.partition("## Mutation")[0]
    rows = [line.split("|")[1].strip() for line in teeth.splitlines() if line.startswith("|")]
    assert rows[2:] == [tooth.name for tooth in TEETH]
