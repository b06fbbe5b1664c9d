"""Versions of datasets: `next`, and those that were released."""

from collections.abc import Sequence

import msgspec

from rowkeep.model.resources import Sizes, Version
from rowkeep.storage.catalog.records import json_text, noun, nouns, the_noun
from rowkeep.storage.catalog.state import Editing, Reading


class Versions(Reading):
    """Reads versions."""

    def by_id(self, version_ids: Sequence[int]) -> dict[int, Version]:
        """Returns versions by their ids."""
        found = self._connection.records("versions_by_id", ids=json_text(version_ids))
        return {version.id: version for version in nouns(Version, found)}

    def by_tag(self, dataset_id: int, major: int, minor: int) -> Version | None:
        """Returns a released version, deleted or not."""
        record = self._connection.record("version_by_tag", dataset_id=dataset_id, major=major, minor=minor)
        return noun(Version, record)

    def page(self, dataset_id: int, after_id: int, count: int, *, sees_unreleased: bool) -> list[Version]:
        """Returns a dataset's versions with larger ids than `after_id`, oldest first.

        Unreleased and deleted versions are among them if `sees_unreleased`.
        """
        found = self._connection.records(
            "versions_of_dataset",
            dataset_id=dataset_id,
            sees_unreleased=int(sees_unreleased),
            after_id=after_id,
            count=count,
        )
        return nouns(Version, found)

    def before(self, version: Version) -> Version | None:
        """Returns the version before this one, leaving out deleted versions."""
        return self._neighbour("version_before", version)

    def after(self, version: Version) -> Version | None:
        """Returns the version after this one, leaving out deleted versions."""
        return self._neighbour("version_after", version)

    def _neighbour(self, statement: str, version: Version) -> Version | None:
        record = self._connection.record(statement, dataset_id=version.dataset_id, position=version.position)
        return noun(Version, record)

    def last_tag(self, dataset_id: int) -> tuple[int, int] | None:
        """Returns the highest tag that a dataset has given, major and minor."""
        record = self._connection.record("last_tag", dataset_id=dataset_id)
        return None if record is None else (record["major"], record["minor"])

    def sizes(self, version_ids: Sequence[int]) -> dict[int, Sizes]:
        """Returns the sizes of versions, by version id."""
        found = self._connection.records("sizes_of_versions", ids=json_text(version_ids))
        return {record["id"]: msgspec.convert(record, Sizes) for record in found}


class VersionEditor(Versions, Editing):
    """Reads and edits versions."""

    def add_first(self, dataset_id: int) -> Version:
        """Adds an unreleased version without tables."""
        return self._changed("add_version", dataset_id=dataset_id, parent_id=None, now=self._now)

    def add(self, parent: Version) -> Version:
        """Adds an unreleased version that starts with the tables of its parent."""
        version = self._changed(
            "add_version", dataset_id=parent.dataset_id, parent_id=parent.id, now=self._now
        )
        self._run("carry_tables", version_id=version.id, parent_version_id=parent.id)
        self._run("carry_variable_metadata", version_id=version.id)
        return version

    def update(self, version: Version) -> Version:
        """Stores a version's label and release notes."""
        return self._changed(
            "update_version",
            id=version.id,
            label=version.label,
            release_notes=version.release_notes,
            now=self._now,
        )

    def release(self, version_id: int, tag: tuple[int, int], release_notes: str | None) -> Version:
        """Freezes a version under a tag, major and minor."""
        self._announce_change()
        return self._changed(
            "release_version",
            id=version_id,
            major=tag[0],
            minor=tag[1],
            release_notes=release_notes,
            now=self._now,
        )

    def unrelease(self, version_id: int) -> Version:
        """Makes a released version the unreleased one again."""
        self._announce_change()
        return self._changed("unrelease_version", id=version_id, now=self._now)

    def hide(self, version_id: int) -> Version:
        """Hides a released version until it is shown again."""
        self._announce_change()
        return self._changed("mark_version_deleted", id=version_id, deleted_at=self._now, now=self._now)

    def show(self, version_id: int) -> Version:
        """Shows a version again that was hidden."""
        self._announce_change()
        return self._changed("mark_version_deleted", id=version_id, deleted_at=None, now=self._now)

    def delete(self, version_id: int) -> None:
        """Deletes an unreleased version with everything that exists only in it."""
        self._announce_change()
        self._run("delete_version", id=version_id)

    def _changed(self, statement: str, /, **parameters: object) -> Version:
        return the_noun(Version, self._one(statement, **parameters))
