"""Queries mean what BigQuery's documentation says, or they are refused."""

import pytest

from rowkeep.sql.errors import QueryRefused
from rowkeep.sql.fragments import Parameters
from rowkeep.sql.signatures import listed_functions
from tests.sql.case_files import Case, cases
from tests.sql.small_engine import SmallEngine

CASES = cases()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_query_is_right_or_refused(engine: SmallEngine, case: Case) -> None:
    """A case has its rows, in their order and types, or is refused with the message that it expects."""
    if case.rows is None:
        with pytest.raises(QueryRefused) as refusal:
            engine.run(case.sql)
        assert case.message is not None
        assert case.message in refusal.value.message
        return
    found = engine.run(case.sql)
    assert found == case.rows
    assert [[type(value) for value in row] for row in found] == [
        [type(value) for value in row] for row in case.rows
    ]


def test_every_function_has_a_case() -> None:
    """Each function of the list stands in a case that has rows."""
    answered = " ".join(case.sql.upper() for case in CASES if case.rows is not None)
    names = {function.name for function in listed_functions()}
    assert not {name for name in names if f"{name}(" not in answered.replace(" (", "(")} - {"ERROR"}


def test_there_are_many() -> None:
    """The suite is as large as it is meant to be."""
    assert len(CASES) >= 300


def test_parameters_are_values(engine: SmallEngine) -> None:
    """`@name` and `?` stand for values, which turn into dates as literals do; a text stays a text."""
    named = Parameters(named={"low": 15, "day": "2024-06-01", "texts": ["a", "B"], "evil": "x' or '1'='1"})
    assert engine.run("select id from t where n > @low and d > @day", named) == [[3]]
    assert engine.run("select id from t where s in unnest(@texts) order by id", named) == [[1], [4]]
    assert engine.run("select id from t where s = @EVIL", named) == []
    assert engine.run("select ?, ?, ?", Parameters(positional=[1, 2.5, None])) == [[1, 2.5, None]]
    for wrong in (Parameters(), Parameters(named={"low": {"a": 1}})):
        with pytest.raises(QueryRefused):
            engine.run("select @low", wrong)
