"""Datasets: what is the same for all their versions."""

from collections.abc import Sequence

import msgspec

from rowkeep.model.access import AccessLevel
from rowkeep.model.references import name_key
from rowkeep.model.resources import Dataset, Owner
from rowkeep.storage.catalog import records
from rowkeep.storage.catalog.records import json_text
from rowkeep.storage.catalog.state import Editing, Reading
from rowkeep.storage.catalog.versions import VersionEditor


class NewDataset(msgspec.Struct, frozen=True):
    """The values of a dataset to add. Without an identifier it gets a new one."""

    owner: Owner
    name: str
    public_access_level: AccessLevel
    description: str | None
    identifier: str | None = None


class Datasets(Reading):
    """Reads datasets."""

    def find(
        self, owner_name: str, key: str, reference_id: str | None, user_id: int | None
    ) -> Dataset | None:
        """Returns a dataset with the level that a user has on it.

        It is looked up by its reference id, or by the key of its name when the reference id is None.
        """
        name = {"owner_key": owner_name.casefold(), "user_id": user_id}
        if reference_id is None:
            record = self._connection.record("dataset_by_key", **name, name_key=key)
        else:
            record = self._connection.record("dataset_by_reference_id", **name, reference_id=reference_id)
        return None if record is None else records.dataset(record)

    def by_id(self, id_: int, user_id: int | None) -> Dataset | None:
        """Returns a dataset with the level that a user has on it."""
        record = self._connection.record("dataset_by_id", id=id_, user_id=user_id)
        return None if record is None else records.dataset(record)

    def page(
        self,
        owner_id: int,
        user_id: int | None,
        after_id: int,
        count: int,
        *,
        sees_unreleased: bool,
        labels: Sequence[str] | None = None,
    ) -> list[Dataset]:
        """Returns the owner's datasets with larger ids than `after_id` that a user sees, oldest first.

        With `sees_unreleased`, editors also get their datasets that were never released. With `labels`, only
        datasets with one of the labels are returned, and only those whose labels the user may see.
        """
        found = self._connection.records(
            "datasets_of_owner",
            owner_id=owner_id,
            user_id=user_id,
            sees_unreleased=int(sees_unreleased),
            labels=None if labels is None else json_text(labels),
            after_id=after_id,
            count=count,
        )
        return [records.dataset(record) for record in found]

    def given_to(self, user_id: int, before_id: int, count: int, *, sees_unreleased: bool) -> list[Dataset]:
        """Returns datasets of any owner that a user was given, with ids below `before_id`, newest first."""
        found = self._connection.records(
            "datasets_given_to_user",
            user_id=user_id,
            sees_unreleased=int(sees_unreleased),
            before_id=before_id,
            count=count,
        )
        return [records.dataset(record) for record in found]


class DatasetEditor(Datasets, Editing):
    """Reads and edits datasets."""

    def add(self, new: NewDataset, user_id: int | None) -> Dataset:
        """Adds a dataset with its first, unreleased version. Raises DuplicateError when the name is taken.

        Returns it with the level that a user has on it.
        """
        added = self._one(
            "add_dataset",
            owner_id=new.owner.id,
            identifier=new.identifier
            or self._free_identifier("reference_id_of_owner", owner_id=new.owner.id),
            name=new.name,
            name_key=name_key(new.name),
            description=new.description,
            public_access_level=new.public_access_level.value,
            now=self._now,
        )
        VersionEditor(self._connection, self._now).add_first(added["id"])
        owner_key = new.owner.name.casefold()
        return records.dataset(
            self._one("dataset_by_key", owner_key=owner_key, user_id=user_id, name_key=name_key(new.name))
        )

    def update(self, dataset: Dataset) -> Dataset:
        """Stores the changed fields of a dataset. Raises DuplicateError when its name is taken."""
        self._announce_change()
        changed = msgspec.structs.replace(dataset, name_key=name_key(dataset.name), updated_at=self._now)
        self._run(
            "update_dataset",
            id=changed.id,
            name=changed.name,
            name_key=changed.name_key,
            description=changed.description,
            public_access_level=changed.public_access_level.value,
            labels=json_text(changed.labels),
            tags=json_text(changed.tags),
            methodology_markdown=changed.methodology_markdown,
            usage_markdown=changed.usage_markdown,
            now=changed.updated_at,
        )
        return changed

    def delete(self, dataset_id: int) -> None:
        """Deletes a dataset with all its contents."""
        self._announce_change()
        self._run("delete_dataset", id=dataset_id)
