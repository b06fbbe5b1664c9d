"""Users, organizations and tokens: what the command line creates. Source: contract 2, design 6."""

import re
import secrets
import time
from collections.abc import Sequence

from rowkeep.model.access import DEFAULT_SCOPES, Scope
from rowkeep.model.audit import WHOLE_SERVER, AuditAction, owner_subject
from rowkeep.model.errors import invalid_request, not_found
from rowkeep.model.resources import MemberRole, Owner, OwnerKind
from rowkeep.services.access import token_hash
from rowkeep.storage.base import DuplicateError
from rowkeep.storage.catalog.catalog import CatalogEditor, CatalogView

TOKEN_BYTES = 32

_owner_name = re.compile(r"[A-Za-z0-9_]{1,64}", re.ASCII).fullmatch
_duration = re.compile(r"(\d{1,6})([dhm])", re.ASCII).fullmatch
# What paths and references say instead of a name.
RESERVED_NAMES = frozenset({"me", "self", "public", "anonymous"})
_MS_OF_UNIT = {"d": 86_400_000, "h": 3_600_000, "m": 60_000}


def create_user(editor: CatalogEditor, name: str) -> Owner:
    """Creates a user. Raises invalid_request_error for a bad or taken name."""
    user = _create_owner(editor, OwnerKind.USER, name)
    editor.audit.add(AuditAction.CREATE_USER, owner_subject(user))
    return user


def create_organization(editor: CatalogEditor, name: str, administrator: str) -> Owner:
    """Creates an organization that a user administers."""
    user = find_user(editor, administrator)
    organization = _create_owner(editor, OwnerKind.ORGANIZATION, name)
    editor.members.set(organization.id, user.id, MemberRole.ADMINISTRATOR)
    editor.audit.add(AuditAction.CREATE_ORGANIZATION, owner_subject(organization), administrator=user.name)
    return organization


def create_token(editor: CatalogEditor, user_name: str, scopes: Sequence[str], expires_in: str | None) -> str:
    """Creates a token and returns it. This is the only time it is shown: only its hash is stored.

    No scopes means the ones that clients ask for. `expires_in` is such as `30d`, `12h` or `45m`.
    """
    user = find_user(editor, user_name)
    token = secrets.token_urlsafe(TOKEN_BYTES)
    names = " ".join(_scope(scope) for scope in scopes) or " ".join(DEFAULT_SCOPES)
    expires_at = None if expires_in is None else time.time_ns() // 1_000_000 + _milliseconds(expires_in)
    added = editor.tokens.add(user.id, token_hash(token.encode()), names, expires_at)
    editor.audit.add(AuditAction.CREATE_TOKEN, owner_subject(user), token=str(added.id), scopes=names)
    return token


def revoke_token(editor: CatalogEditor, token_id: int) -> None:
    """Revokes a token; the next request with it is refused."""
    user_name = editor.tokens.revoke(token_id)
    if user_name is None:
        raise not_found(f"There is no token {token_id} that could be revoked.")
    subject = owner_subject(find_user(editor, user_name))
    editor.audit.add(AuditAction.REVOKE_TOKEN, subject, token=str(token_id))


def revoke_everything(editor: CatalogEditor) -> None:
    """Revokes every token that works and ends every download link, as after a restore of an older backup."""
    for token in editor.tokens.all():
        if token.revoked_at is None:
            revoke_token(editor, token.id)
    revoke_links(editor)


def revoke_links(editor: CatalogEditor) -> None:
    """Ends every download link of the server."""
    editor.exports.renew_link_secret()
    editor.audit.add(AuditAction.REVOKE_LINKS, WHOLE_SERVER)


def find_user(view: CatalogView, name: str) -> Owner:
    """Returns the user of this name. Raises not_found_error."""
    owner = view.owners.find(name)
    if owner is None or owner.kind is not OwnerKind.USER:
        raise not_found(f"There is no user {name}.")
    return owner


def _create_owner(editor: CatalogEditor, kind: OwnerKind, name: str) -> Owner:
    if not _owner_name(name):
        raise invalid_request(
            f"The name of {'a user' if kind is OwnerKind.USER else 'an organization'} has 1 to 64 letters, "
            f"digits and _, not {name!r}."
        )
    if name.lower() in RESERVED_NAMES:
        raise invalid_request(f"The name {name} is reserved; take another.")
    try:
        return editor.owners.add(kind, name)
    except DuplicateError as error:
        raise invalid_request(f"The name {name} is taken (case does not count).") from error


def _scope(text: str) -> str:
    try:
        return Scope(text).value
    except ValueError as error:
        raise invalid_request(f"{text!r} is not a scope; the scopes are {', '.join(Scope)}.") from error


def _milliseconds(text: str) -> int:
    match = _duration(text)
    if match is None:
        raise invalid_request(f"{text!r} is not a duration; write it as 30d, 12h or 45m.")
    if not int(match[1]):
        raise invalid_request(f"A token that expires after {text} would never work; write 30d, 12h or 45m.")
    return int(match[1]) * _MS_OF_UNIT[match[2]]
