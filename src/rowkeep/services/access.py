"""Who may do what, decided in one place.

The order is the contract's (2.4): the token must be good (401), the resource visible (404), the
token's scope wide enough (403 insufficient_scope), the access level high enough (403). What a caller
may not see is worded exactly as what does not exist.
"""

import hashlib
import time

import msgspec

from rowkeep.model.access import ANONYMOUS, SCOPE_OF_LEVEL, AccessLevel, Principal
from rowkeep.model.errors import RowkeepError, insufficient_scope, invalid_token, not_found
from rowkeep.model.references import DatasetReference, TableReference
from rowkeep.model.resources import Dataset, Owner, OwnerKind, Table, Upload
from rowkeep.storage.base import CatalogView

TokenHash = bytes


def token_hash(token: bytes) -> TokenHash:
    """What is stored and looked up instead of a token. A token has 256 random bits, so one hash does."""
    return hashlib.sha256(token).digest()


def principal_of(view: CatalogView, hash_: TokenHash | None) -> Principal:
    """Who calls. Raises invalid_token for credentials that do not count; none at all is anonymous."""
    if hash_ is None:
        return ANONYMOUS
    principal = view.principal(hash_)
    if principal is None:
        raise invalid_token("This token is not known or was revoked.")
    if has_expired(principal.expires_at_ms):
        raise invalid_token("This token has expired.")
    return principal


def has_expired(expires_at_ms: int | None) -> bool:
    """Whether a time, in epoch milliseconds, has passed; None never does."""
    return expires_at_ms is not None and expires_at_ms <= time.time_ns() // 1_000_000


def signed_in(principal: Principal) -> Principal:
    """The principal, or invalid_token when the caller is anonymous."""
    if principal.is_anonymous:
        raise _no_credentials()
    return principal


def find_dataset(view: CatalogView, principal: Principal, reference: DatasetReference) -> Dataset:
    """The dataset a reference names, with the level the principal has on it.

    Raises not_found_error when there is none that the principal may see, and invalid_token for an
    anonymous caller, who might see it after signing in.
    """
    dataset = view.dataset(reference.owner_name, reference.dataset.key, reference.dataset.reference_id)
    level = AccessLevel.NONE if dataset is None else _level(view, principal, dataset)
    if dataset is None or level is AccessLevel.NONE or reference.version_tag not in (None, "next"):
        if principal.is_anonymous:
            raise _no_credentials()
        raise not_found(
            f"There is no dataset {reference.owner_name}.{reference.dataset.name}"
            f"{_version_suffix(reference)} that you can see."
        )
    return msgspec.structs.replace(dataset, level=level)


def _version_suffix(reference: DatasetReference) -> str:
    return "" if reference.version_tag is None else f" at version {reference.version_tag}"


def _level(view: CatalogView, principal: Principal, dataset: Dataset) -> AccessLevel:
    # An unreleased version shows itself to editors alone, whatever the public may see later.
    owner = Owner(dataset.owner_id, dataset.owner_kind, dataset.owner_name)
    return AccessLevel.EDIT if may_administer(view, principal, owner) else AccessLevel.NONE


def may_administer(view: CatalogView, principal: Principal, owner: Owner) -> bool:
    """Whether the principal is the user, or an administrator of the organization."""
    if principal.user_id is None:
        return False
    if owner.kind is OwnerKind.USER:
        return owner.id == principal.user_id
    return view.is_administrator(owner.id, principal.user_id)


def require(principal: Principal, level: AccessLevel) -> None:
    """Raises insufficient_scope unless the token may be used at this level."""
    scope = SCOPE_OF_LEVEL[level]
    if not principal.holds(scope):
        raise insufficient_scope(scope)


def editable_dataset(view: CatalogView, principal: Principal, reference: DatasetReference) -> Dataset:
    """A dataset at its unreleased version, which takes edit access and the scope data.edit."""
    dataset = find_dataset(view, principal, reference)
    require(principal, AccessLevel.EDIT)
    return dataset


def editable_table(
    view: CatalogView, principal: Principal, reference: TableReference
) -> tuple[Dataset, Table]:
    """A table of an unreleased version and its dataset."""
    dataset = editable_dataset(view, principal, reference.dataset_reference)
    table = view.table(dataset.version_id, reference.table.key, reference.table.reference_id)
    if table is None or reference.table.is_sample or reference.dataset_reference.dataset.is_sample:
        raise not_found(f"There is no table {reference.table.name} in dataset {dataset.name}.")
    return dataset, table


def editable_upload(
    view: CatalogView, principal: Principal, reference: TableReference, upload_name: str
) -> tuple[Dataset, Table, Upload]:
    """An upload of an unreleased version, its table and its dataset."""
    dataset, table = editable_table(view, principal, reference)
    upload = view.upload(table.id, upload_name)
    if upload is None:
        raise not_found(f"There is no upload {upload_name} in table {table.name}.")
    return dataset, table, upload


def _no_credentials() -> RowkeepError:
    return invalid_token(
        "No credentials were provided. Send an API token as `Authorization: Bearer <token>`."
    )
