"""Who may do what, decided in one place.

A write that names no version means the next one, a read the current one (contract 7.16).

The order is the contract's (2.4): the token must be good (401), the resource visible (404), the
token's scope wide enough (403 insufficient_scope), the access level high enough (403). What a caller
may not see is worded exactly as what does not exist.

What is public takes no scope. Whatever was given to a user, by ownership, membership or grant, takes a
token with the scope of its level. An unreleased version shows itself to editors alone, whatever the
public may see of released ones.
"""

import hashlib
import time
from enum import StrEnum

import msgspec

from rowkeep.model.access import ANONYMOUS, SCOPE_OF_LEVEL, AccessLevel, Caller, Principal, Scope
from rowkeep.model.errors import (
    RowkeepError,
    forbidden,
    insufficient_scope,
    invalid_request,
    invalid_token,
    not_found,
)
from rowkeep.model.references import DatasetReference, TableReference, decoded_again, version_parts
from rowkeep.model.resources import (
    NEXT_TAG,
    Dataset,
    MemberRole,
    Owner,
    OwnerKind,
    Table,
    Upload,
    UploadType,
    Version,
)
from rowkeep.services.absent import no_dataset, no_next_version, no_table, no_upload
from rowkeep.storage.catalog.catalog import CatalogView

_NEW_TOKEN = "The server's operator makes tokens, with `rowkeep token create --user NAME`."


class Place(msgspec.Struct, frozen=True):
    """A dataset at one of its versions, as one principal meets it.

    `level` is what the principal may do there, `scoped_level` what they may do with the token they sent.
    """

    dataset: Dataset
    version: Version
    level: AccessLevel
    scoped_level: AccessLevel

    @property
    def is_editable(self) -> bool:
        """Returns whether the principal sees unreleased versions."""
        return self.scoped_level is AccessLevel.EDIT


def token_hash(token: bytes) -> bytes:
    """Returns the hash that is stored and looked up in place of a token.

    A token has 256 random bits, so one round of hashing is enough.
    """
    return hashlib.sha256(token).digest()


def caller_with(token: bytes) -> Caller:
    """Returns who calls with a token."""
    return Caller(token_hash(token))


def principal_of(view: CatalogView, caller: Caller) -> Principal:
    """Returns the user behind a caller.

    Raises invalid_token for a token that is unknown, revoked or expired.
    """
    if caller.token_hash is None:
        return ANONYMOUS
    principal = view.tokens.principal(caller.token_hash)
    if principal is None:
        raise invalid_token(f"This token is not known or was revoked. {_NEW_TOKEN}")
    if has_expired(principal.expires_at_ms):
        raise invalid_token(f"This token has expired. {_NEW_TOKEN}")
    return principal


def has_expired(expires_at_ms: int | None) -> bool:
    """Returns whether a time, in epoch milliseconds, has passed. A time of None never passes."""
    return expires_at_ms is not None and expires_at_ms <= time.time_ns() // 1_000_000


def signed_in(principal: Principal) -> Principal:
    """Returns the principal. Raises invalid_token when the caller is anonymous."""
    if principal.is_anonymous:
        raise _no_credentials()
    return principal


def may_administer(view: CatalogView, principal: Principal, owner: Owner) -> bool:
    """Returns whether the principal is this user, or an administrator of this organization."""
    if principal.user_id is None:
        return False
    if owner.kind is OwnerKind.USER:
        return owner.id == principal.user_id
    member = view.members.find(owner.id, principal.user_id)
    return member is not None and member.role is MemberRole.ADMINISTRATOR


class OwnersAction(StrEnum):
    """An action that only the owner or an administrator of it may take:

    edit access by grant is not enough.
    """

    CREATE_DATASET = "create datasets there"
    GRANT = "change who has access"
    OPEN_TO_PUBLIC = "change what everybody may see"
    SEE_AUDIT = "see what was done there"


def require_administrator(
    view: CatalogView, principal: Principal, owner: Owner, action: OwnersAction
) -> None:
    """Raises forbidden unless the principal is the owner, or an administrator of it."""
    if not may_administer(view, principal, owner):
        raise forbidden(f"Only {owner.name} itself, or an administrator of it, may {action}.")


def require_scope(principal: Principal, scope: Scope) -> None:
    """Raises insufficient_scope unless the token holds the scope, invalid_token for an anonymous caller."""
    if not signed_in(principal).holds(scope):
        raise insufficient_scope(scope)


def find_dataset(
    view: CatalogView, principal: Principal, reference: DatasetReference, level: AccessLevel
) -> Place:
    """Returns the dataset and version that a reference names, if the caller has this level on it.

    Raises not_found_error when there is none that the principal may see, and invalid_token for an
    anonymous caller, who might see it after signing in.
    """
    place = visible_dataset(view, principal, reference)
    permit(principal, place, level)
    return place


def visible_dataset(view: CatalogView, principal: Principal, reference: DatasetReference) -> Place:
    """Returns the dataset and version that a reference names, if the caller may see that it exists."""
    dataset = view.datasets.find(
        reference.owner_name, reference.dataset.key, reference.dataset.reference_id, principal.user_id
    )
    version = None if dataset is None else _version(view, dataset, reference.version_tag)
    if dataset is not None and version is not None and not reference.dataset.is_sample:
        place = place_at(principal, dataset, version)
        if place.level is not AccessLevel.NONE:
            return place
    if principal.is_anonymous:
        raise _no_credentials()
    if dataset is not None and reference.version_tag == NEXT_TAG and dataset.user_level is AccessLevel.EDIT:
        raise no_next_version(dataset)
    owner = view.owners.find(reference.owner_name)
    may_create = owner is not None and may_administer(view, principal, owner)
    raise no_dataset(view, principal, reference, may_create=may_create)


def _version(view: CatalogView, dataset: Dataset, tag: str | None) -> Version | None:
    """Returns the version with a tag. Without a tag: the current version, or else the unreleased one."""
    parts = version_parts(tag or "")
    if parts is not None:
        version = view.versions.by_tag(dataset.id, *parts)
        return None if version is None or version.is_deleted else version
    version_id = {
        None: dataset.current_version_id or dataset.next_version_id,
        "current": dataset.current_version_id,
        "next": dataset.next_version_id,
    }[tag]
    return None if version_id is None else view.versions.by_id([version_id])[version_id]


def place_at(principal: Principal, dataset: Dataset, version: Version) -> Place:
    """Returns what a principal may do with a dataset at one of its versions."""
    public = _public_level(dataset, version)
    level = max(dataset.user_level, public)
    if not version.is_released and level is not AccessLevel.EDIT:
        level = AccessLevel.NONE
    return Place(dataset, version, level, max(principal.capped(level), public))


def _public_level(dataset: Dataset, version: Version) -> AccessLevel:
    return dataset.public_access_level if version.is_released else AccessLevel.NONE


def permit(principal: Principal, place: Place, level: AccessLevel) -> Scope:
    """Raises invalid_token, insufficient_scope or forbidden unless the principal has the level.

    In an unreleased version every level takes edit access. Returns the scope that was needed: `public` for
    what everybody may do.
    """
    if not place.version.is_released:
        level = AccessLevel.EDIT
    if level <= _public_level(place.dataset, place.version):
        return Scope.PUBLIC
    scope = SCOPE_OF_LEVEL[level]
    require_scope(principal, scope)
    if place.level < level:
        raise forbidden(
            f"This takes {level.wire_name} access to dataset {place.dataset.name}; "
            f"you have {place.level.wire_name} access."
        )
    return scope


def require_unreleased(place: Place) -> None:
    """Raises invalid_request_error in a released version, where nothing may change any more."""
    if place.version.is_released:
        dataset = place.dataset
        raise invalid_request(
            f"Version {place.version.tag} of dataset {dataset.name} is released and never changes. "
            f"Write to {dataset.owner_name}.{dataset.name_key}:next; "
            "create the next version first when there is none."
        )


def find_table(
    view: CatalogView, principal: Principal, reference: TableReference, level: AccessLevel
) -> tuple[Place, Table]:
    """Returns the table that a reference names and its place, if the caller has this level on the dataset."""
    place = find_dataset(view, principal, reference.dataset_reference, level)
    table = view.tables.find(place.version.id, reference.table.key, reference.table.reference_id)
    if table is None or reference.table.is_sample:
        name, may_edit = reference.table.name, place.is_editable
        raise no_table(view, place.dataset, place.version, name, may_edit=may_edit)
    return place, table


def find_upload(
    view: CatalogView, principal: Principal, reference: TableReference, upload_name: str
) -> tuple[Place, Table, Upload]:
    """Returns an upload, its table and its place. Only editors see uploads."""
    place, table = find_table(view, principal, reference, AccessLevel.EDIT)
    upload = view.uploads.find(table.id, upload_name)
    if upload is None and (meant := decoded_again(upload_name)) is not None:
        upload = view.uploads.find(table.id, meant)
    if upload is None:
        raise no_upload(view, place.dataset, table, upload_name)
    return place, table, upload


def written_reference(view: CatalogView, principal: Principal, reference: TableReference) -> TableReference:
    """Returns the reference that a write means.

    Without a version it means the next version, for a caller who may edit. Raises not_found_error for a
    dataset that the principal does not see.
    """
    named = reference.dataset_reference
    if named.version_tag is not None:
        return reference
    if visible_dataset(view, principal, named).level is not AccessLevel.EDIT:
        return reference  # what others may not do is said of the version that they see
    return msgspec.structs.replace(
        reference, dataset_reference=msgspec.structs.replace(named, version_tag=NEXT_TAG)
    )


def existing_upload(
    view: CatalogView, principal: Principal, reference: TableReference, upload_name: str
) -> tuple[Place, Table, Upload]:
    """Returns an upload, to tell whether it exists.

    For a caller who may not edit, it does not exist (contract 2.4).
    """
    place = visible_dataset(view, principal, reference.dataset_reference)
    if not principal.is_anonymous and place.level is not AccessLevel.EDIT:
        raise not_found(f"There is no upload {upload_name} in table {reference.table.name} that you can see.")
    return find_upload(view, principal, reference, upload_name)


def editable_table(view: CatalogView, principal: Principal, reference: TableReference) -> tuple[Place, Table]:
    """Returns a table that may be written to, and its place.

    That takes an unreleased version, edit access and the scope data.edit.
    """
    written = written_reference(view, principal, reference)
    place, table = find_table(view, principal, written, AccessLevel.EDIT)
    require_unreleased(place)
    return place, table


def editable_upload(
    view: CatalogView, principal: Principal, reference: TableReference, upload_name: str
) -> tuple[Place, Table, Upload]:
    """Returns an upload that may be written to, its table and its place."""
    written = written_reference(view, principal, reference)
    place, table, upload = find_upload(view, principal, written, upload_name)
    require_unreleased(place)
    return place, table, upload


def editable_stream(
    view: CatalogView, principal: Principal, reference: TableReference, upload_name: str
) -> Upload:
    """Returns an upload that takes rows.

    Raises invalid_request_error for an upload that was made from a file.
    """
    _, _, upload = editable_upload(view, principal, reference, upload_name)
    if upload.type is UploadType.RAW_FILES:
        raise invalid_request(
            f"The rows of {upload.name} are the files of its table. Add files with POST .../rawFiles; rows "
            "go into an upload of type 'stream' of another table."
        )
    if upload.type is not UploadType.STREAM:
        raise invalid_request(
            f"The upload {upload.name} was made of a file and takes no rows. Create an upload of type "
            "'stream' in the same table, and insert them there."
        )
    return upload


def written_upload(
    view: CatalogView, principal: Principal, reference: TableReference, upload_name: str
) -> tuple[Place, Table, Upload]:
    """Returns the upload whose earlier writes are asked about:

    in the next version, else in the current one.
    """
    named = reference.dataset_reference
    if named.version_tag is None and visible_dataset(view, principal, named).dataset.next_version_id:
        reference = written_reference(view, principal, reference)
    return find_upload(view, principal, reference, upload_name)


def _no_credentials() -> RowkeepError:
    return invalid_token(
        f"No credentials were provided. Send an API token as `Authorization: Bearer <token>`. {_NEW_TOKEN}"
    )
