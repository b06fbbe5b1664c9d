"""Errors for a dataset, a table or an upload that is not there. They name what there is, and how to make one.

Only what the caller may see is named. So a caller is told the same of a dataset that they may not see and of
one that does not exist.
"""

import msgspec

from rowkeep.model.access import Principal, Scope
from rowkeep.model.errors import RowkeepError, not_found
from rowkeep.model.nearness import NAMES_LOOKED_AT, listing, suggestion
from rowkeep.model.references import DatasetReference
from rowkeep.model.resources import NEXT_TAG, Dataset, OwnerKind, Table, Version
from rowkeep.storage.catalog.catalog import CatalogView


def no_dataset(
    view: CatalogView, principal: Principal, reference: DatasetReference, *, may_create: bool
) -> RowkeepError:
    """Returns the error for a dataset that is not there, or that this caller may not see.

    A caller who may create a dataset for that owner is told how.

    How one is made is told to whoever may make one for that owner.
    """
    names = _seen_datasets(view, principal, reference.owner_name)
    asked = f"{reference.owner_name}.{reference.dataset.name}"
    return not_found(
        f"There is no dataset {reference.text} that you can see.{suggestion(asked, names)}"
        f"{_there_is('You can see', names)}{_how_to_create(view, reference, may_create=may_create)}"
    )


def _seen_datasets(view: CatalogView, principal: Principal, owner_name: str) -> list[str]:
    """Returns the caller's datasets of the owner. If there are none:

    those of any owner that the caller was given.
    """
    if not principal.holds(Scope.DATA_OVERVIEW):
        return []
    sees_unreleased = principal.holds(Scope.DATA_EDIT)
    user_id, owner = principal.user_id, view.owners.find(owner_name)
    if owner is not None:
        seen = view.datasets.page(owner.id, user_id, 0, NAMES_LOOKED_AT, sees_unreleased=sees_unreleased)
    elif user_id is not None:
        seen = view.datasets.given_to(user_id, _LAST_ID, NAMES_LOOKED_AT, sees_unreleased=sees_unreleased)
    else:
        seen = []
    return [_reference_of(dataset) for dataset in seen]


def _how_to_create(view: CatalogView, reference: DatasetReference, *, may_create: bool) -> str:
    owner = view.owners.find(reference.owner_name)
    if owner is None:
        return f" There is no user or organization {reference.owner_name}."
    if not may_create or reference.version_tag not in {None, NEXT_TAG}:
        return ""
    kind = "users" if owner.kind is OwnerKind.USER else "organizations"
    return f" Create one with POST /api/v1/{kind}/{owner.name}/datasets {_named(reference.dataset.name)}."


def no_next_version(dataset: Dataset) -> RowkeepError:
    """Returns the error for a missing next version. Only a caller who may edit the dataset gets it."""
    name = _reference_of(dataset)
    return not_found(
        f"Dataset {name} has no next version, and released ones never change. Open the next version with "
        f"POST /api/v1/datasets/{name}/versions and create the upload in it, or release with "
        '{"continueStreams": true}, which opens it at once with all streams.'
    )


def no_version(dataset: Dataset, tag: str) -> RowkeepError:
    """Returns the error for a version that is missing, or hidden from a caller who sees the dataset."""
    name = _reference_of(dataset)
    return not_found(
        f"Dataset {name} has no version {tag} that you can see. GET /api/v1/datasets/{name}/versions lists "
        f"those there are; {name} without a version is the latest one."
    )


def no_table(
    view: CatalogView, dataset: Dataset, version: Version, table_name: str, *, may_edit: bool
) -> RowkeepError:
    """Returns the error for a table that is missing. Only a caller who sees the version's tables gets it."""
    names = [table.name for table in view.tables.page(version.id, 0, NAMES_LOOKED_AT)]
    created = f" Create one with POST /api/v1/datasets/{_reference_of(dataset)}/tables {_named(table_name)}."
    return not_found(
        f"There is no table {table_name} in dataset {dataset.name}.{suggestion(table_name, names)}"
        f"{_there_is('It has', names) or ' It has none yet.'}{created if may_edit else ''}"
    )


def no_upload(view: CatalogView, dataset: Dataset, table: Table, upload_name: str) -> RowkeepError:
    """Returns the error for an upload that is missing. Only a caller who may edit the table gets it."""
    names = [upload.name for upload in view.uploads.page(table.id, 0, NAMES_LOOKED_AT)]
    said = msgspec.json.encode({"name": upload_name, "type": "stream"}).decode()
    return not_found(
        f"There is no upload {upload_name} in table {table.name}.{suggestion(upload_name, names)}"
        f"{_there_is('It has', names) or ' It has none yet.'} Create one with POST "
        f"/api/v1/tables/{_reference_of(dataset)}.{table.name_key}/uploads {_spaced(said)}."
    )


def _reference_of(dataset: Dataset) -> str:
    return f"{dataset.owner_name}.{dataset.name_key}"


def _there_is(verb: str, names: list[str]) -> str:
    return f" {verb} {listing(names)}." if names else ""


def _named(name: str) -> str:
    return _spaced(msgspec.json.encode({"name": name}).decode())


def _spaced(text: str) -> str:
    """Returns JSON with a space behind each comma and colon outside of texts, as people write it."""
    return text.replace('":"', '": "').replace('","', '", "')


_LAST_ID = 2**63 - 1
