"""Names of variables that come from files."""

from hypothesis import given
from hypothesis import strategies as st

from rowkeep.model.names import repaired_name, repaired_names
from rowkeep.model.schema import name_problem


def test_names_are_repaired_the_documented_way() -> None:
    """Invalid characters become underscores; doubled, empty and reserved names get one of their own."""
    names = ["id", "ID", "id", "", "_upload_name", "2nd col", "var.2", "a_b", "a-b", "Größe (cm)", "日本"]
    assert repaired_names(names) == [
        "id",
        "ID_1",
        "id_2",
        "column",
        "_upload_name_1",
        "_2nd_col",
        "var_2",
        "a_b",
        "a_b_1",
        "Gro_e_cm",
        "column_1",
    ]


def test_a_good_name_keeps_itself() -> None:
    """A name that needs no repair is not renamed because of one before it that does."""
    assert repaired_names(["a b", "a_b", "a_b_1"]) == ["a_b_2", "a_b", "a_b_1"]


@given(st.lists(st.text(max_size=80), max_size=20))
def test_any_names_become_variables(names: list[str]) -> None:
    """Whatever a file calls its columns, each gets a valid name, and no two are equal ignoring case."""
    repaired = repaired_names(names)
    assert [name_problem(name) for name in repaired] == [None] * len(names)
    assert len({name.lower() for name in repaired}) == len(names)


@given(st.text(max_size=80))
def test_a_repaired_name_stays(name: str) -> None:
    """What was repaired needs no repair again."""
    assert repaired_name(repaired_name(name)) == repaired_name(name)
