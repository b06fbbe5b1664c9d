"""API tokens. The catalog keeps their hashes, never the tokens themselves."""

from rowkeep.model.access import Principal, Scope
from rowkeep.model.resources import Token
from rowkeep.storage.catalog.records import nouns, the_noun
from rowkeep.storage.catalog.state import Editing, Reading


class Tokens(Reading):
    """Reads tokens."""

    def principal(self, token_hash: bytes) -> Principal | None:
        """Returns the principal who holds the token with this hash, unless it was revoked.

        The caller has to check whether it has expired.
        """
        record = self._connection.record("token_by_hash", hash=token_hash)
        if record is None:
            return None
        scopes = frozenset(Scope(scope) for scope in record["scopes"].split())
        return Principal(record["user_id"], record["user_name"], scopes, record["expires_at"])

    def all(self) -> list[Token]:
        """Returns every token, oldest first."""
        return nouns(Token, self._connection.records("tokens"))


class TokenEditor(Tokens, Editing):
    """Reads and edits tokens."""

    def add(self, user_id: int, token_hash: bytes, scopes: str, expires_at: int | None) -> Token:
        """Adds a token by its hash."""
        record = self._one(
            "add_token",
            user_id=user_id,
            hash=token_hash,
            scopes=scopes,
            created_at=self._now,
            expires_at=expires_at,
        )
        return the_noun(Token, record)

    def revoke(self, token_id: int) -> str | None:
        """Revokes a token. Returns its user's name, or None for an unknown or already revoked token."""
        self._announce_change()
        revoked = self._connection.record("revoke_token", id=token_id, now=self._now)
        return None if revoked is None else str(revoked["user_name"])
