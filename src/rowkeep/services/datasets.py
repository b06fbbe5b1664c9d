"""Datasets: list, create, find, delete."""

import msgspec

from rowkeep.model.access import PUBLIC_ACCESS_LEVELS, SCOPE_OF_LEVEL, AccessLevel, Principal
from rowkeep.model.errors import forbidden, invalid_request, not_found
from rowkeep.model.references import checked_name, name_key, parse_dataset_reference
from rowkeep.model.resources import Dataset, Owner, OwnerKind
from rowkeep.services.access import (
    TokenHash,
    editable_dataset,
    may_administer,
    principal_of,
    require,
    signed_in,
)
from rowkeep.storage.base import CatalogEditor, CatalogView, Doors, DuplicateError, NewDataset

DESCRIPTION_CHARACTERS_MAX = 256


class DatasetDraft(msgspec.Struct, frozen=True, rename="camel"):
    """What a caller says of a dataset to create."""

    name: str
    public_access_level: str = AccessLevel.NONE.wire_name
    description: str | None = None


class DatasetService:
    """What can be done with datasets."""

    def __init__(self, doors: Doors) -> None:
        self._doors = doors

    async def principal(self, token_hash: TokenHash | None) -> Principal:
        """Who calls; invalid_token for an anonymous caller."""
        return await self._doors.read(lambda view: signed_in(principal_of(view, token_hash)))

    async def page(
        self, token_hash: TokenHash | None, kind: OwnerKind, owner_name: str, after_id: int, count: int
    ) -> list[Dataset]:
        """The datasets of an owner that the caller may see. Raises not_found_error for no such owner."""

        def read(view: CatalogView) -> list[Dataset]:
            principal = principal_of(view, token_hash)
            owner = _owner(view, kind, owner_name)
            if not may_administer(view, principal, owner) or not principal.holds(_EDIT_SCOPE):
                return []  # what is not released shows itself to editors alone
            return view.datasets(owner.id, after_id, count)

        return await self._doors.read(read)

    async def create(
        self, token_hash: TokenHash | None, kind: OwnerKind, owner_name: str, draft: DatasetDraft
    ) -> Dataset:
        """Creates a dataset with an empty, unreleased version. Source: contract 4.2."""

        def write(editor: CatalogEditor) -> Dataset:
            principal = signed_in(principal_of(editor, token_hash))
            owner = _owner(editor, kind, owner_name)
            require(principal, AccessLevel.EDIT)
            if not may_administer(editor, principal, owner):
                raise forbidden(
                    f"Only {owner.name} itself, or an administrator of it, may create datasets there."
                )
            return _create(editor, owner, draft)

        return await self._doors.write(write)

    async def find(self, token_hash: TokenHash | None, reference: str) -> Dataset:
        """The dataset a reference names."""
        parsed = parse_dataset_reference(reference)
        return await self._doors.read(
            lambda view: editable_dataset(view, principal_of(view, token_hash), parsed)
        )

    async def delete(self, token_hash: TokenHash | None, reference: str) -> None:
        """Deletes a dataset with all it holds."""
        parsed = parse_dataset_reference(reference)

        def write(editor: CatalogEditor) -> None:
            dataset = editable_dataset(editor, principal_of(editor, token_hash), parsed)
            editor.delete_dataset(dataset.id)

        await self._doors.write(write)


_EDIT_SCOPE = SCOPE_OF_LEVEL[AccessLevel.EDIT]


def _owner(view: CatalogView, kind: OwnerKind, name: str) -> Owner:
    owner = view.owner(name)
    if owner is None or owner.kind is not kind:
        raise not_found(f"There is no {kind} {name}.")
    return owner


def _create(editor: CatalogEditor, owner: Owner, draft: DatasetDraft) -> Dataset:
    name = checked_name("dataset", draft.name)
    if draft.public_access_level not in PUBLIC_ACCESS_LEVELS:
        raise invalid_request(
            f"publicAccessLevel must be one of {', '.join(PUBLIC_ACCESS_LEVELS)}, "
            f"not {draft.public_access_level!r}."
        )
    if len(draft.description or "") > DESCRIPTION_CHARACTERS_MAX:
        raise invalid_request(f"A description may have at most {DESCRIPTION_CHARACTERS_MAX} characters.")
    level = AccessLevel[draft.public_access_level.upper()]
    try:
        editor.add_dataset(NewDataset(owner, name, level, draft.description))
    except DuplicateError as error:
        raise invalid_request(
            f"{owner.name} has a dataset named {name!r} already (case and punctuation do not count)."
        ) from error
    dataset = editor.dataset(owner.name, name_key(name), None)
    if dataset is None:
        raise LookupError("the dataset just created is not there")
    return dataset
