"""Scopes, access levels, the caller and the principal: who calls, and what they may do at most.

A call needs both: the level on the dataset and the scope on the token. Source: contract 2.
"""

from enum import IntEnum, StrEnum

import msgspec


class AccessLevel(IntEnum):
    """What a principal may do with a dataset; each level includes those below."""

    NONE = 0
    OVERVIEW = 1
    METADATA = 2
    SAMPLE = 3
    DATA = 4
    EDIT = 5

    @property
    def wire_name(self) -> str:
        """Returns the level as the API spells it."""
        return self.name.lower()


LEVEL_OF_NAME = {level.wire_name: level for level in AccessLevel}
PUBLIC_ACCESS_LEVELS = tuple(level.wire_name for level in AccessLevel if level is not AccessLevel.EDIT)


class Scope(StrEnum):
    """What a token may be used for."""

    PUBLIC = "public"
    DATA_OVERVIEW = "data.overview"
    DATA_METADATA = "data.metadata"
    DATA_DATA = "data.data"
    DATA_EDIT = "data.edit"
    ORGANIZATION_READ = "organization.read"
    ORGANIZATION_WRITE = "organization.write"
    WORKFLOW_READ = "workflow.read"
    WORKFLOW_WRITE = "workflow.write"


_LADDER = (Scope.PUBLIC, Scope.DATA_OVERVIEW, Scope.DATA_METADATA, Scope.DATA_DATA, Scope.DATA_EDIT)
_READ_BY_WRITE = {
    Scope.ORGANIZATION_READ: Scope.ORGANIZATION_WRITE,
    Scope.WORKFLOW_READ: Scope.WORKFLOW_WRITE,
}

DEFAULT_SCOPES = (Scope.DATA_EDIT, Scope.ORGANIZATION_WRITE, Scope.WORKFLOW_WRITE)

# The scope that reading at each level asks of a token.
SCOPE_OF_LEVEL = {
    AccessLevel.NONE: Scope.PUBLIC,
    AccessLevel.OVERVIEW: Scope.DATA_OVERVIEW,
    AccessLevel.METADATA: Scope.DATA_METADATA,
    AccessLevel.SAMPLE: Scope.DATA_DATA,
    AccessLevel.DATA: Scope.DATA_DATA,
    AccessLevel.EDIT: Scope.DATA_EDIT,
}


class Caller(msgspec.Struct, frozen=True, cache_hash=True):
    """Who calls, as the request says: somebody with a token, or nobody. The token is kept as its hash.

    Each call looks up whose token it is and whether it is valid (services/access.py).
    """

    token_hash: bytes | None = None

    @property
    def is_anonymous(self) -> bool:
        """Returns whether the call came without credentials."""
        return self.token_hash is None


NOBODY = Caller()


class Principal(msgspec.Struct, frozen=True):
    """The user behind a caller, with the scopes of the token.

    `user_id` is None for an anonymous caller, who holds only the scope `public`.
    """

    user_id: int | None
    user_name: str | None
    scopes: frozenset[Scope]
    expires_at_ms: int | None = None

    @property
    def is_anonymous(self) -> bool:
        """Returns whether the call came without credentials."""
        return self.user_id is None

    def holds(self, scope: Scope) -> bool:
        """Returns whether the scopes include `scope`, directly or through a wider scope."""
        if scope in self.scopes or scope is Scope.PUBLIC:
            return True
        if scope in _LADDER:
            return any(above in self.scopes for above in _LADDER[_LADDER.index(scope) :])
        return _READ_BY_WRITE.get(scope) in self.scopes

    def capped(self, level: AccessLevel) -> AccessLevel:
        """Returns the highest level up to `level` that the scopes allow."""
        allowed = (each for each in AccessLevel if each <= level and self.holds(SCOPE_OF_LEVEL[each]))
        return max(allowed, default=AccessLevel.NONE)


ANONYMOUS = Principal(user_id=None, user_name=None, scopes=frozenset({Scope.PUBLIC}))
