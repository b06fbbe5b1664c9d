"""Nasty files, each with what must come of it."""

from pathlib import Path

import pytest

from tests.corpus import delimited, values
from tests.corpus.case import Case, outcome, problem

CASES = [case for module in (delimited, values) for case in module.CASES]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_file_comes_to_what_it_must(case: Case, tmp_path: Path) -> None:
    """A file of the corpus becomes the table, or the error, that stands beside it."""
    assert problem(case.expected, outcome(case, tmp_path)) is None
