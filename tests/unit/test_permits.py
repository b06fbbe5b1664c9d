"""Every scope against every level: who may do what with a dataset, against the words of the contract.

Source: contract 2.2 to 2.4. The rules are written down here a second time, by rank in two lists, and every
combination of a scope, what the user was given, what is public, released or not, and what is asked for is
tried.
"""

import itertools

import pytest

from rowkeep.model.access import AccessLevel, Principal, Scope
from rowkeep.model.errors import ErrorCode, RowkeepError
from rowkeep.model.resources import Dataset, OwnerKind, Version
from rowkeep.services.access import Place, permit, place_at

LEVELS = ["none", "overview", "metadata", "sample", "data", "edit"]
DATA_SCOPES = ["public", "data.overview", "data.metadata", "data.data", "data.edit"]
# The rank of the data scope that each level takes, in the order of LEVELS.
SCOPE_RANKS = [0, 1, 2, 3, 3, 4]
OTHER_SCOPES = ["organization.read", "organization.write", "workflow.read", "workflow.write"]
EDIT = LEVELS.index("edit")


def dataset_of(given: int, public: int) -> Dataset:
    """A dataset with what its asker was given and what is public, as ranks."""
    return Dataset(
        id=1,
        identifier="aaaa-bbbbbbbbb",
        name="data",
        name_key="data",
        description=None,
        public_access_level=AccessLevel(public),
        labels=(),
        tags=(),
        methodology_markdown=None,
        usage_markdown=None,
        created_at=0,
        updated_at=0,
        owner_id=2,
        owner_kind=OwnerKind.USER,
        owner_name="jane",
        next_version_id=1,
        current_version_id=None,
        user_level=AccessLevel(given),
    )


def version_of(*, is_released: bool) -> Version:
    """A version."""
    return Version(
        id=1,
        dataset_id=1,
        position=0,
        parent_id=None,
        major=1,
        minor=0,
        label=None,
        release_notes=None,
        created_at=0,
        updated_at=0,
        released_at=1 if is_released else None,
        deleted_at=None,
    )


def expected(scope: str, given: int, public: int, asked: int, *, is_released: bool) -> str | None:
    """What the caller is told: nothing when it is allowed, or else the code of the error."""
    if not is_released:
        public = 0
        asked = EDIT
        if given < EDIT:
            return "not_found_error"
    if max(given, public) == 0:
        return "not_found_error"
    if asked <= public:
        return None
    rank = DATA_SCOPES.index(scope) if scope in DATA_SCOPES else 0
    if rank < SCOPE_RANKS[asked]:
        return "insufficient_scope"
    return None if given >= asked else "forbidden"


def told(place: Place, principal: Principal, asked: int) -> str | None:
    """What the service says."""
    if place.level is AccessLevel.NONE:
        return "not_found_error"
    try:
        permit(principal, place, AccessLevel(asked))
    except RowkeepError as error:
        return error.code.value
    return None


@pytest.mark.parametrize("is_released", [True, False], ids=["released", "next"])
@pytest.mark.parametrize("scope", [*DATA_SCOPES, *OTHER_SCOPES])
def test_every_level_is_asked_for(scope: str, is_released: bool) -> None:
    """Every level that may be given and be public, and every level that may be asked for."""
    principal = Principal(1, "jane", frozenset({Scope(scope)}))
    version = version_of(is_released=is_released)
    for given, public, asked in itertools.product(range(6), range(5), range(1, 6)):
        place = place_at(principal, dataset_of(given, public), version)
        wanted = expected(scope, given, public, asked, is_released=is_released)
        assert told(place, principal, asked) == wanted, (given, public, asked)


@pytest.mark.parametrize("scope", [*DATA_SCOPES, *OTHER_SCOPES])
def test_only_who_may_edit_sees_what_is_unreleased(scope: str) -> None:
    """It takes edit access and a token for it, in a released version too."""
    principal = Principal(1, "jane", frozenset({Scope(scope)}))
    for given, public, is_released in itertools.product(range(6), range(5), (True, False)):
        place = place_at(principal, dataset_of(given, public), version_of(is_released=is_released))
        assert place.is_editable == (given == EDIT and scope == "data.edit")
        usable = max(level for level in range(6) if level <= given and rank_of(scope) >= SCOPE_RANKS[level])
        visible = public if is_released else 0
        if is_released or given == EDIT:
            assert place.scoped_level == max(usable, visible)


def rank_of(scope: str) -> int:
    """How far up the ladder of data scopes a scope is; the others are at its foot."""
    return DATA_SCOPES.index(scope) if scope in DATA_SCOPES else 0


def test_the_scope_that_it_took() -> None:
    """What is public takes the scope `public`, whatever the token; all else that of its level."""
    for scopes in (frozenset({Scope.DATA_EDIT}), frozenset({Scope.DATA_EDIT, Scope.WORKFLOW_WRITE})):
        principal = Principal(1, "jane", scopes)
        place = place_at(principal, dataset_of(EDIT, LEVELS.index("metadata")), version_of(is_released=True))
        taken = [permit(principal, place, AccessLevel(asked)) for asked in range(6)]
        assert taken == ["public", "public", "public", "data.data", "data.data", "data.edit"]


def test_an_anonymous_caller_is_asked_to_sign_in() -> None:
    """Beyond what is public; a user without the scope hears of the scope."""
    anonymous = Principal(None, None, frozenset({Scope.PUBLIC}))
    place = place_at(anonymous, dataset_of(0, LEVELS.index("overview")), version_of(is_released=True))
    assert permit(anonymous, place, AccessLevel.OVERVIEW) is Scope.PUBLIC
    with pytest.raises(RowkeepError) as refused:
        permit(anonymous, place, AccessLevel.DATA)
    assert refused.value.code is ErrorCode.INVALID_TOKEN
