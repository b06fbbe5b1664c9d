"""Nasty files, each with what must come of it."""

from pathlib import Path

import pytest

from tests.corpus.all_cases import CASES
from tests.corpus.case import Case, outcome, problem

# So many kinds of trouble are known; fewer would mean that some got lost.
CASES_MIN = 480


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_file_comes_to_what_it_must(case: Case, tmp_path: Path) -> None:
    """A file of the corpus becomes the table, or the error, that stands beside it."""
    assert problem(case.expected, outcome(case, tmp_path)) is None


def test_the_corpus_is_whole() -> None:
    """Every file has a name of its own, and none was lost."""
    assert len({case.name for case in CASES}) == len(CASES) >= CASES_MIN
