"""Scopes and levels: which token may do what at most. Source: contract 2.2."""

import itertools

import pytest

from rowkeep.model.access import (
    ANONYMOUS,
    DEFAULT_SCOPES,
    PUBLIC_ACCESS_LEVELS,
    SCOPE_OF_LEVEL,
    AccessLevel,
    Principal,
    Scope,
)

LADDER = ["public", "data.overview", "data.metadata", "data.data", "data.edit"]


def holder(*scopes: str) -> Principal:
    return Principal(1, "jane", frozenset(Scope(scope) for scope in scopes))


@pytest.mark.parametrize(("held", "asked"), list(itertools.product(range(5), repeat=2)))
def test_a_data_scope_includes_those_below(held: int, asked: int) -> None:
    """The data scopes are a ladder."""
    assert holder(LADDER[held]).holds(Scope(LADDER[asked])) == (held >= asked)


def test_writing_includes_reading_and_nothing_else() -> None:
    """Organization and workflow scopes stand beside the ladder and beside each other."""
    for family, other in (("organization", "workflow"), ("workflow", "organization")):
        writer = holder(f"{family}.write")
        assert writer.holds(Scope(f"{family}.read"))
        assert not holder(f"{family}.read").holds(Scope(f"{family}.write"))
        assert not writer.holds(Scope(f"{other}.read"))
        assert not writer.holds(Scope.DATA_OVERVIEW)
        assert not holder("data.edit").holds(Scope(f"{family}.read"))


def test_every_token_is_public() -> None:
    """The scope public is implicit, and all that an anonymous caller has."""
    assert holder().holds(Scope.PUBLIC)
    assert ANONYMOUS.is_anonymous
    assert not holder().is_anonymous
    assert [scope for scope in Scope if ANONYMOUS.holds(scope)] == [Scope.PUBLIC]


def test_default_scopes_hold_everything() -> None:
    """A token made without naming scopes can be used for everything its user may do."""
    assert all(holder(*DEFAULT_SCOPES).holds(scope) for scope in Scope)


def test_levels_are_ordered_and_named_as_on_the_wire() -> None:
    """Each level includes those before it; edit cannot be public; each asks for a scope."""
    assert list(AccessLevel) == sorted(AccessLevel)
    assert PUBLIC_ACCESS_LEVELS == ("none", "overview", "metadata", "sample", "data")
    assert set(SCOPE_OF_LEVEL) == set(AccessLevel)
