"""Versions: list, find, create the next, release, unrelease, delete.

Theory
------
A dataset has versions, one after the other. The last may be unreleased: it is `next`, and no other takes
changes. A new version starts with the tables of the current one. A table keeps its parent in the version
before; what it holds are its parent's rows, then its own uploads', or with the strategy `replace` its own
alone once it has any. No row is copied, so a version costs as much as its tables' names.

A stream goes on in the next version in an upload of its own, which begins empty. A release can open the next
version with all its streams in one commit: writers look up the upload again because the catalog has moved,
so each row is in the version before or in the one after. Keys belong to the stream: a repeat of a request
whose rows are in the version before is answered with its first receipt.

Released is frozen: what a released version holds can only come from released uploads, and nothing writes
to those. Unreleasing is possible until another version was made from it, a deleted one too. Deleting a
released version hides it, since later versions rest on its rows; undeleting shows it again. The unreleased
version is really deleted. Source: contract 4.3, 7.15, 7.16, 7.22, 7.34.
"""

import time

import msgspec
from msgspec import UNSET, UnsetType

from rowkeep.model.access import AccessLevel, Caller
from rowkeep.model.audit import AuditAction, version_subject
from rowkeep.model.errors import invalid_request
from rowkeep.model.references import (
    DatasetReference,
    parse_dataset_reference,
    parse_version_tag,
    version_parts,
)
from rowkeep.model.resources import NEXT_TAG, Content, Version
from rowkeep.model.schema import VariableMetadata, declared_metadata, described_schema, merged_schema
from rowkeep.services.absent import no_next_version, no_version
from rowkeep.services.access import Place, find_dataset, principal_of, visible_dataset
from rowkeep.services.version_differences import (
    next_tag_after,
    release_problem,
    tables_of,
    version_difference,
)
from rowkeep.storage.catalog.catalog import CatalogEditor, CatalogView
from rowkeep.storage.catalog.doors import Doors

UNRELEASE_DAYS_MAX = 7
LABEL_CHARACTERS_MAX = 256
NOTES_CHARACTERS_MAX = 1_000_000
_MS_PER_DAY = 86_400_000


class VersionChanges(msgspec.Struct, frozen=True, rename="camel"):
    """The changes that a caller asks for. An unset field stays as it is, null empties it."""

    label: str | UnsetType | None = UNSET
    release_notes: str | UnsetType | None = UNSET


class ReleaseDraft(msgspec.Struct, frozen=True, rename="camel"):
    """The release that a caller asks for. Unset notes stay as they are.

    With `continue_streams` the next version is there at once, with the streams of this one.
    """

    release_notes: str | UnsetType | None = UNSET
    continue_streams: bool | None = None


class VersionView(msgspec.Struct, frozen=True):
    """A version, its dataset and the versions next to it."""

    place: Place
    version: Version
    previous_version: Version | None = None
    next_version: Version | None = None
    can_release: bool = False


class VersionService:
    """The operations on versions."""

    def __init__(self, doors: Doors) -> None:
        self._doors = doors

    async def page(self, caller: Caller, reference: str, after_id: int, count: int) -> list[VersionView]:
        """Returns the versions of a dataset that the caller may see, oldest first."""
        parsed = parse_dataset_reference(reference)

        def read(view: CatalogView) -> list[VersionView]:
            place = find_dataset(view, principal_of(view, caller), parsed, AccessLevel.OVERVIEW)
            versions = view.versions.page(
                place.dataset.id, after_id, count, sees_unreleased=place.is_editable
            )
            return [VersionView(place, version) for version in versions]

        return await self._doors.read(read)

    async def find(self, caller: Caller, reference: str, tag: str) -> VersionView:
        """Returns one version of a dataset."""
        parsed = parse_dataset_reference(reference)

        def read(view: CatalogView) -> VersionView:
            place = find_dataset(view, principal_of(view, caller), parsed, AccessLevel.OVERVIEW)
            return _version_view(view, place, _tagged(view, place, tag))

        return await self._doors.read(read)

    async def create(self, caller: Caller, reference: str) -> VersionView:
        """Creates the next version, with the tables of the current one."""
        parsed = parse_dataset_reference(reference)

        def write(editor: CatalogEditor) -> VersionView:
            place = _editable(editor, caller, parsed)
            dataset = place.dataset
            if dataset.next_version_id is not None or dataset.current_version_id is None:
                raise invalid_request(f"Dataset {dataset.name} has an unreleased version already; use :next.")
            parent = editor.versions.by_id([dataset.current_version_id])[dataset.current_version_id]
            return _again(editor, caller, parsed, _open_next(editor, parent))

        return await self._doors.write(write)

    async def update(self, caller: Caller, reference: str, tag: str, changes: VersionChanges) -> VersionView:
        """Changes the label and the release notes, of released versions too."""
        parsed = parse_dataset_reference(reference)

        def write(editor: CatalogEditor) -> VersionView:
            place = _editable(editor, caller, parsed)
            version = _tagged(editor, place, tag)
            said = {
                name: value for name, value in msgspec.structs.asdict(changes).items() if value is not UNSET
            }
            _check_texts(**said)
            changed = editor.versions.update(msgspec.structs.replace(version, **said))
            return _again(editor, caller, parsed, changed)

        return await self._doors.write(write)

    async def release(self, caller: Caller, reference: str, tag: str, draft: ReleaseDraft) -> VersionView:
        """Freezes the next version and makes it the current one.

        Its streams may continue in a new version.
        """
        parsed = parse_dataset_reference(reference)

        def write(editor: CatalogEditor) -> VersionView:
            place = _editable(editor, caller, parsed)
            version = _tagged(editor, place, tag)
            if version.is_released:
                raise invalid_request(f"Version {version.tag} is released already.")
            difference = version_difference(editor, version)
            problem = release_problem(editor, version, difference)
            if problem is not None:
                raise invalid_request(problem)
            notes = version.release_notes if draft.release_notes is UNSET else draft.release_notes
            _check_texts(release_notes=notes)
            next_tag = next_tag_after(editor.versions.last_tag(version.dataset_id), difference)
            released = editor.versions.release(version.id, next_tag, notes)
            editor.audit.add(AuditAction.RELEASE_VERSION, version_subject(place.dataset, released))
            if draft.continue_streams:
                _continue_streams(editor, released)
            return _again(editor, caller, parsed, released)

        return await self._doors.write(write)

    async def unrelease(self, caller: Caller, reference: str, tag: str) -> VersionView:
        """Makes the current version the next one again, within a week of its release."""
        parsed = parse_dataset_reference(reference)

        def write(editor: CatalogEditor) -> VersionView:
            place = _editable(editor, caller, parsed)
            version = _tagged(editor, place, tag)
            _check_unrelease(editor, place, version)
            editor.audit.add(AuditAction.UNRELEASE_VERSION, version_subject(place.dataset, version))
            return _again(editor, caller, parsed, editor.versions.unrelease(version.id))

        return await self._doors.write(write)

    async def delete(self, caller: Caller, reference: str, tag: str) -> VersionView:
        """Hides a released version, or deletes the unreleased one for good."""
        parsed = parse_dataset_reference(reference)

        def write(editor: CatalogEditor) -> VersionView:
            place = _editable(editor, caller, parsed)
            version = _tagged(editor, place, tag)
            if version.is_deleted:
                raise invalid_request(f"Version {version.tag} is deleted already.")
            if editor.versions.before(version) is None and editor.versions.after(version) is None:
                raise invalid_request("This is the dataset's only version; delete the dataset instead.")
            if version.is_released:
                editor.versions.hide(version.id)
            else:
                editor.versions.delete(version.id)
            editor.audit.add(AuditAction.DELETE_VERSION, version_subject(place.dataset, version))
            gone = msgspec.structs.replace(version, deleted_at=time.time_ns() // 1_000_000)
            return _version_view(editor, place, gone)

        return await self._doors.write_in_reserve(write)

    async def undelete(self, caller: Caller, reference: str, tag: str) -> VersionView:
        """Shows a released version again that was deleted."""
        parsed = parse_dataset_reference(reference)

        def write(editor: CatalogEditor) -> VersionView:
            place = _editable(editor, caller, parsed)
            version = _tagged(editor, place, tag)
            if not version.is_deleted:
                raise invalid_request(f"Version {version.tag} is not deleted.")
            _check_undelete(editor, place, version)
            editor.audit.add(AuditAction.UNDELETE_VERSION, version_subject(place.dataset, version))
            return _again(editor, caller, parsed, editor.versions.show(version.id))

        return await self._doors.write(write)


def _open_next(editor: CatalogEditor, parent: Version) -> Version:
    """Creates the next version, with the tables of its parent and the declarations of their variables."""
    opened = editor.versions.add(parent)
    kept = list(tables_of(editor, parent))
    said = editor.variables.metadata([table.id for table, _ in kept])
    declared_of = {table.identifier: _declared(content, said[table.id]) for table, content in kept}
    declared = {table.id: declared_of[table.identifier] for table, _ in tables_of(editor, opened)}
    if any(declared.values()):
        editor.variables.set_metadata(declared)
    return opened


def _declared(content: Content, said: dict[str, VariableMetadata]) -> dict[str, VariableMetadata]:
    """Returns what is declared of a table's variables, in its uploads' schemas and earlier versions."""
    before = {name: metadata for name, metadata in said.items() if metadata.is_declared}
    return declared_metadata(described_schema(merged_schema(content.schemas), before))


def _continue_streams(editor: CatalogEditor, released: Version) -> None:
    """Opens the next version with the streams of the one just released and with their quarantines."""
    version_id = _open_next(editor, released).id
    editor.uploads.continue_streams(version_id)
    editor.quarantine.carry(version_id)
    editor.receipts.carry_rejections(version_id)


def _editable(view: CatalogView, caller: Caller, reference: DatasetReference) -> Place:
    return find_dataset(view, principal_of(view, caller), reference, AccessLevel.EDIT)


def _tagged(view: CatalogView, place: Place, tag: str) -> Version:
    """Returns the version with this tag; for editors also a deleted one. Raises not_found_error."""
    parsed = parse_version_tag(tag)
    parts = version_parts(parsed)
    dataset = place.dataset
    version: Version | None
    if parts is not None:
        version = view.versions.by_tag(dataset.id, *parts)
    else:
        version_id = dataset.current_version_id if parsed == "current" else dataset.next_version_id
        version = None if version_id is None else view.versions.by_id([version_id])[version_id]
    if version is None or not (place.is_editable or (version.is_released and not version.is_deleted)):
        is_next = parsed == NEXT_TAG and place.is_editable
        raise no_next_version(dataset) if is_next else no_version(dataset, tag)
    return version


def _again(view: CatalogView, caller: Caller, reference: DatasetReference, version: Version) -> VersionView:
    """Returns a changed version and its neighbours. The reference's own tag may have changed with it."""
    unversioned = msgspec.structs.replace(reference, version_tag=None)
    place = visible_dataset(view, principal_of(view, caller), unversioned)
    return _version_view(view, place, version)


def _version_view(view: CatalogView, place: Place, version: Version) -> VersionView:
    following = view.versions.after(version)
    if following is not None and not (following.is_released or place.is_editable):
        following = None
    can_release = place.is_editable and not version.is_released and not version.is_deleted
    return VersionView(
        place,
        version,
        previous_version=view.versions.before(version),
        next_version=following,
        can_release=can_release and release_problem(view, version, version_difference(view, version)) is None,
    )


def _check_texts(label: str | None = None, release_notes: str | None = None) -> None:
    if len(label or "") > LABEL_CHARACTERS_MAX:
        raise invalid_request(f"A label may have at most {LABEL_CHARACTERS_MAX} characters.")
    if len(release_notes or "") > NOTES_CHARACTERS_MAX:
        raise invalid_request(f"Release notes may have at most {NOTES_CHARACTERS_MAX} characters.")


def _check_undelete(view: CatalogView, place: Place, version: Version) -> None:
    """Raises invalid_request_error where the next version would lack rows of the current one."""
    next_id, current_id = place.dataset.next_version_id, place.dataset.current_version_id
    versions = view.versions.by_id([one for one in (next_id, current_id) if one is not None])
    following, current = versions.get(next_id or 0), versions.get(current_id or 0)
    if following is None or following.parent_id == version.id:
        return
    if current is None or current.position < version.position:
        raise invalid_request(
            f"Version {version.tag} would be the current one again, and the next version was made without it "
            "and does not hold its rows. Release or delete the next version, then undelete this one."
        )


def _check_unrelease(view: CatalogView, place: Place, version: Version) -> None:
    if version.id != place.dataset.current_version_id or version.released_at is None:
        raise invalid_request("Only the current version can be unreleased.")
    if place.dataset.next_version_id is not None:
        raise invalid_request(
            "The next version was made from this one; delete the next version, then unrelease this one."
        )
    # A deleted version rests on its rows too, and can be undeleted.
    later = view.versions.page(version.dataset_id, version.id, 1, sees_unreleased=True)
    if later:
        raise invalid_request(
            f"Version {later[0].tag}, which is deleted, may rest on this one and can be undeleted. "
            "Create the next version and release what is to change."
        )
    if time.time_ns() // 1_000_000 - version.released_at > UNRELEASE_DAYS_MAX * _MS_PER_DAY:
        raise invalid_request(f"A version can be unreleased for {UNRELEASE_DAYS_MAX} days after its release.")
