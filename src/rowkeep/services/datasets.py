"""Datasets: list, create, find, change, delete."""

from collections.abc import Iterable, Sequence
from typing import Annotated

import msgspec
from msgspec import UNSET, UnsetType

from rowkeep.model.access import LEVEL_OF_NAME, PUBLIC_ACCESS_LEVELS, AccessLevel, Caller, Principal, Scope
from rowkeep.model.audit import AuditAction, dataset_subject
from rowkeep.model.errors import RowkeepError, invalid_request, not_found
from rowkeep.model.references import checked_name, parse_dataset_reference
from rowkeep.model.resources import Dataset, Owner, OwnerKind, Sizes, Version
from rowkeep.services.access import (
    OwnersAction,
    Place,
    find_dataset,
    place_at,
    principal_of,
    require_administrator,
    require_scope,
    signed_in,
)
from rowkeep.storage.base import DuplicateError
from rowkeep.storage.catalog.catalog import CatalogEditor, CatalogView
from rowkeep.storage.catalog.datasets import NewDataset
from rowkeep.storage.catalog.doors import Doors

DESCRIPTION_CHARACTERS_MAX = 256
MARKDOWN_CHARACTERS_MAX = 1_000_000
LABELS_MAX = 100
LABEL_CHARACTERS_MAX = 256


PublicLevel = Annotated[str, msgspec.Meta(extra_json_schema={"enum": PUBLIC_ACCESS_LEVELS})]


class DatasetDraft(msgspec.Struct, frozen=True, rename="camel"):
    """The properties of a dataset to create, as the caller sent them."""

    name: str
    public_access_level: PublicLevel = AccessLevel.NONE.wire_name
    description: str | None = None


class DatasetChanges(msgspec.Struct, frozen=True, rename="camel"):
    """The changes that a caller asks for. An unset field stays as it is, null empties it."""

    name: str | UnsetType = UNSET
    public_access_level: PublicLevel | UnsetType = UNSET
    description: str | UnsetType | None = UNSET
    methodology_markdown: str | UnsetType | None = UNSET
    usage_markdown: str | UnsetType | None = UNSET
    labels: tuple[str, ...] | UnsetType | None = UNSET
    labels_to_add: tuple[str, ...] | None = ()
    labels_to_remove: tuple[str, ...] | None = ()
    tags: tuple[str, ...] | UnsetType | None = UNSET
    tags_to_add: tuple[str, ...] | None = ()
    tags_to_remove: tuple[str, ...] | None = ()


class DatasetView(msgspec.Struct, frozen=True):
    """A dataset at one version, with its sizes and the versions before and after."""

    place: Place
    sizes: Sizes
    next_version: Version | None = None
    previous_version: Version | None = None


class DatasetService:
    """The operations on datasets."""

    def __init__(self, doors: Doors) -> None:
        self._doors = doors

    async def principal(self, caller: Caller) -> Principal:
        """Returns the user who calls. Raises invalid_token for an anonymous caller."""
        return await self._doors.read(lambda view: signed_in(principal_of(view, caller)))

    async def check_token(self, caller: Caller) -> None:
        """Raises invalid_token for a bad token. A caller without a token is anonymous and passes."""
        await self._doors.read(lambda view: principal_of(view, caller))

    async def owner(self, caller: Caller, kind: OwnerKind, name: str) -> Owner:
        """Returns a user or an organization. That they exist is not a secret."""

        def read(view: CatalogView) -> Owner:
            principal_of(view, caller)
            return find_owner(view, kind, name)

        return await self._doors.read(read)

    async def page(
        self,
        caller: Caller,
        kind: OwnerKind,
        owner_name: str,
        after_id: int,
        count: int,
        labels: Sequence[str] | None = None,
    ) -> list[DatasetView]:
        """Returns the datasets of an owner that the caller may see; with `labels`, only those that have them.

        Raises not_found_error for no such owner.
        """

        def read(view: CatalogView) -> list[DatasetView]:
            principal = principal_of(view, caller)
            owner = find_owner(view, kind, owner_name)
            return _page(view, principal, owner, after_id, count, labels)

        return await self._doors.read(read)

    async def given(self, caller: Caller, before_id: int, count: int) -> list[DatasetView]:
        """Returns the datasets of any owner that the caller may use by ownership, membership or grant."""

        def read(view: CatalogView) -> list[DatasetView]:
            principal = signed_in(principal_of(view, caller))
            require_scope(principal, Scope.DATA_OVERVIEW)
            datasets = view.datasets.given_to(
                principal.user_id or 0, before_id, count, sees_unreleased=principal.holds(Scope.DATA_EDIT)
            )
            return _views(view, principal, datasets)

        return await self._doors.read(read)

    async def create(
        self, caller: Caller, kind: OwnerKind, owner_name: str, draft: DatasetDraft
    ) -> DatasetView:
        """Creates a dataset with an empty, unreleased version. Source: contract 4.2."""

        def write(editor: CatalogEditor) -> DatasetView:
            principal = signed_in(principal_of(editor, caller))
            owner = find_owner(editor, kind, owner_name)
            require_scope(principal, Scope.DATA_EDIT)
            require_administrator(editor, principal, owner, OwnersAction.CREATE_DATASET)
            return dataset_view(editor, _create(editor, principal, owner, draft))

        return await self._doors.write(write)

    async def find(self, caller: Caller, reference: str) -> DatasetView:
        """Returns the dataset that a reference names."""
        parsed = parse_dataset_reference(reference)

        def read(view: CatalogView) -> DatasetView:
            principal = principal_of(view, caller)
            return dataset_view(view, find_dataset(view, principal, parsed, AccessLevel.OVERVIEW))

        return await self._doors.read(read)

    async def update(self, caller: Caller, reference: str, changes: DatasetChanges) -> DatasetView:
        """Changes the properties of a dataset, which are the same for all its versions. Source:

        contract 4.2.
        """
        parsed = parse_dataset_reference(reference)

        def write(editor: CatalogEditor) -> DatasetView:
            principal = principal_of(editor, caller)
            place = find_dataset(editor, principal, parsed, AccessLevel.EDIT)
            changed = _changed(place.dataset, changes)
            if changed == place.dataset:
                return dataset_view(editor, place)
            if changed.public_access_level is not place.dataset.public_access_level:
                require_administrator(editor, principal, place.dataset.owner, OwnersAction.OPEN_TO_PUBLIC)
            try:
                written = editor.datasets.update(changed)
            except DuplicateError as error:
                raise _name_taken(changed.owner, changed.name) from error
            _write_down_public_access(editor, place.dataset, written)
            return dataset_view(editor, place_at(principal, written, place.version))

        return await self._doors.write_in_reserve(write)

    async def delete(self, caller: Caller, reference: str) -> None:
        """Deletes a dataset with all its contents."""
        parsed = parse_dataset_reference(reference)

        def write(editor: CatalogEditor) -> None:
            principal = principal_of(editor, caller)
            dataset = find_dataset(editor, principal, parsed, AccessLevel.EDIT).dataset
            editor.datasets.delete(dataset.id)
            editor.audit.add(AuditAction.DELETE_DATASET, dataset_subject(dataset))

        await self._doors.write_in_reserve(write)


_WITH_ARTICLE = {OwnerKind.USER: "a user", OwnerKind.ORGANIZATION: "an organization"}


def find_owner(view: CatalogView, kind: OwnerKind, name: str) -> Owner:
    """Returns the user or organization of this name. Raises not_found_error."""
    owner = view.owners.find(name)
    if owner is None or owner.kind is not kind:
        other = "" if owner is None else f" {name} is {_WITH_ARTICLE[owner.kind]}."
        raise not_found(f"There is no {kind} {name}.{other}")
    return owner


def dataset_view(view: CatalogView, place: Place) -> DatasetView:
    """Returns a dataset with its sizes and neighbours. Only its editors see an unreleased `nextVersion`."""
    next_id = place.dataset.next_version_id if place.is_editable else None
    return DatasetView(
        place,
        view.versions.sizes([place.version.id])[place.version.id],
        next_version=None if next_id is None else view.versions.by_id([next_id])[next_id],
        previous_version=view.versions.before(place.version),
    )


def _page(
    view: CatalogView,
    principal: Principal,
    owner: Owner,
    after_id: int,
    count: int,
    labels: Sequence[str] | None,
) -> list[DatasetView]:
    datasets = view.datasets.page(
        owner.id,
        principal.user_id if principal.holds(Scope.DATA_OVERVIEW) else None,
        after_id,
        count,
        sees_unreleased=principal.holds(Scope.DATA_EDIT),
        labels=labels,
    )
    return _views(view, principal, datasets)


def _views(view: CatalogView, principal: Principal, datasets: Sequence[Dataset]) -> list[DatasetView]:
    """Returns datasets with their sizes, each at the version that the principal is shown."""
    shown = {dataset.id: dataset.current_version_id or dataset.next_version_id or 0 for dataset in datasets}
    versions = view.versions.by_id(list(shown.values()))
    sizes = view.versions.sizes(list(shown.values()))
    return [
        DatasetView(place_at(principal, dataset, versions[shown[dataset.id]]), sizes[shown[dataset.id]])
        for dataset in datasets
    ]


def _create(editor: CatalogEditor, principal: Principal, owner: Owner, draft: DatasetDraft) -> Place:
    """Creates a dataset with its first version. Returns both."""
    name = checked_name("dataset", draft.name)
    description = _bounded("description", draft.description, DESCRIPTION_CHARACTERS_MAX)
    level = _public_level(draft.public_access_level)
    try:
        dataset = editor.datasets.add(NewDataset(owner, name, level, description), principal.user_id)
    except DuplicateError as error:
        raise _name_taken(owner, name) from error
    editor.audit.add(AuditAction.CREATE_DATASET, dataset_subject(dataset), publicAccessLevel=level.wire_name)
    (version,) = editor.versions.page(dataset.id, 0, 1, sees_unreleased=True)
    return place_at(principal, dataset, version)


def _write_down_public_access(editor: CatalogEditor, before: Dataset, after: Dataset) -> None:
    """Writes to the audit log that the public access of a dataset has changed."""
    if after.public_access_level is not before.public_access_level:
        editor.audit.add(
            AuditAction.CHANGE_PUBLIC_ACCESS,
            dataset_subject(after),
            publicAccessLevel=after.public_access_level.wire_name,
            before=before.public_access_level.wire_name,
        )


def _changed(dataset: Dataset, changes: DatasetChanges) -> Dataset:
    said = {
        name: value
        for name in ("name", "description", "methodology_markdown", "usage_markdown")
        if (value := getattr(changes, name)) is not UNSET
    }
    if "name" in said:
        checked_name("dataset", said["name"])
    _bounded("description", said.get("description"), DESCRIPTION_CHARACTERS_MAX)
    for name in ("methodology_markdown", "usage_markdown"):
        _bounded(name, said.get(name), MARKDOWN_CHARACTERS_MAX)
    level = changes.public_access_level
    return msgspec.structs.replace(
        dataset,
        **said,
        public_access_level=dataset.public_access_level if level is UNSET else _public_level(level),
        labels=_texts(
            "labels", dataset.labels, changes.labels, changes.labels_to_add, changes.labels_to_remove
        ),
        tags=_texts("tags", dataset.tags, changes.tags, changes.tags_to_add, changes.tags_to_remove),
    )


def _texts(
    name: str,
    before: tuple[str, ...],
    replacement: tuple[str, ...] | UnsetType | None,
    added: Iterable[str] | None,
    removed: Iterable[str] | None,
) -> tuple[str, ...]:
    """Returns a list of texts after its changes.

    Each text stands in it once, in the order in which it came.
    """
    start = before if replacement is UNSET else replacement or ()
    gone = set(removed or ())
    texts = tuple(text for text in dict.fromkeys([*start, *(added or ())]) if text not in gone)
    if len(texts) > LABELS_MAX:
        raise invalid_request(f"A dataset may have at most {LABELS_MAX} {name}.")
    for text in texts:
        _bounded(name, text, LABEL_CHARACTERS_MAX)
    return texts


def _public_level(name: str) -> AccessLevel:
    if name not in PUBLIC_ACCESS_LEVELS:
        raise invalid_request(
            f"publicAccessLevel must be one of {', '.join(PUBLIC_ACCESS_LEVELS)}, not {name!r}."
        )
    return LEVEL_OF_NAME[name]


def _bounded(name: str, text: str | None, characters_max: int) -> str | None:
    if len(text or "") > characters_max:
        raise invalid_request(f"`{name}` may have at most {characters_max} characters.")
    return text


def _name_taken(owner: Owner, name: str) -> RowkeepError:
    return invalid_request(
        f"{owner.name} has a dataset named {name!r} already (case and punctuation do not count)."
    )
