"""The first start: a server without users lets the person who reads its output make the first one.

Theory
------
`offer` makes a code, which the server prints as part of a link. Who has the code may make one user, once. The
transaction that makes the user looks whether there is a user or an organization already: as soon as there is
one, however it came to be, the code is worth nothing. Only the code's hash is kept, in memory: a restart
without users makes another.
"""

import hashlib
import hmac
import secrets

import msgspec

from rowkeep.model.errors import forbidden, not_found
from rowkeep.services.accounts import create_token, create_user
from rowkeep.storage.catalog.catalog import CatalogEditor
from rowkeep.storage.catalog.doors import Doors

CODE_BYTES = 32


class FirstUser(msgspec.Struct, frozen=True):
    """The first user and their token, which is shown only this once."""

    name: str
    token: str


class FirstStart:
    """Makes the first user. One per process."""

    def __init__(self, doors: Doors) -> None:
        self._doors = doors
        self._code_hash: bytes | None = None

    async def offer(self) -> str | None:
        """Returns the code that makes the first user; None when there is a user or an organization."""
        if await self._doors.read(lambda view: view.owners.exist()):
            return None
        code = secrets.token_urlsafe(CODE_BYTES)
        self._code_hash = _hash(code)
        return code

    def check(self, code: str) -> None:
        """Raises not_found_error for every code but the one that was offered and is not used."""
        if self._code_hash is None or not hmac.compare_digest(self._code_hash, _hash(code)):
            raise not_found("This link is not valid, or was used. A server without users prints one.")

    async def make_user(self, code: str, name: str) -> FirstUser:
        """Makes the first user, with a token. The code is used up by this."""
        self.check(code)

        def write(editor: CatalogEditor) -> FirstUser:
            if editor.owners.exist():
                raise forbidden("There is a user already. Sign in with a token of theirs.")
            user = create_user(editor, name)
            return FirstUser(user.name, create_token(editor, user.name, (), None))

        made = await self._doors.write(write)
        self._code_hash = None
        return made


def _hash(code: str) -> bytes:
    return hashlib.sha256(code.encode()).digest()
