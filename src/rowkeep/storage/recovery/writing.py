"""Writes a catalog of recovered uploads: everything is in the next version of its dataset.

An upload keeps its id, which its segments name. Datasets and tables keep their identifiers. Two that had the
same name at different times, and the uploads in which a stream went on from version to version, get a number
behind the name; the newest keeps it.
"""

from collections.abc import Callable, Sequence
from typing import TypeVar

from rowkeep.model.access import AccessLevel
from rowkeep.model.audit import WHOLE_SERVER, AuditAction
from rowkeep.model.chain import CHAIN_START, unpacked_counts
from rowkeep.model.recovery import UploadPlace
from rowkeep.model.references import UPLOAD_NAME_CHARACTERS_MAX
from rowkeep.model.resources import MergeStrategy, Owner, OwnerKind, UploadType
from rowkeep.storage.base import DuplicateError
from rowkeep.storage.catalog.catalog import CatalogEditor
from rowkeep.storage.catalog.datasets import NewDataset
from rowkeep.storage.catalog.segments import RecoveredCounters
from rowkeep.storage.catalog.tables import NewTable
from rowkeep.storage.catalog.uploads import NewUpload
from rowkeep.storage.recovery.finding import FoundUpload

Made = TypeVar("Made")
# Of segments that do not say where they were.
NAMELESS = "recovered"
NUMBERS_MAX = 10_000


def write_catalog(editor: CatalogEditor, uploads: Sequence[FoundUpload]) -> None:
    """Writes the recovered uploads with their datasets and tables into an empty catalog."""
    writing = _Writing(editor)
    for upload in reversed(uploads):  # the newest first: it keeps its name
        writing.add(upload)
    editor.audit.add(
        AuditAction.RECOVER_CATALOG,
        WHOLE_SERVER,
        uploads=str(len(uploads)),
        rows=str(sum(upload.row_count for upload in uploads)),
    )


def place_of(upload: FoundUpload) -> UploadPlace:
    """Returns the former place of an upload, or a new place when no segment names one."""
    return upload.place or UploadPlace(
        owner_kind=OwnerKind.USER,
        owner_name=NAMELESS,
        dataset_identifier="",
        dataset_name=NAMELESS,
        version_tag="next",
        table_identifier="",
        table_name=f"upload_{upload.upload_id}",
        merge_strategy=MergeStrategy.APPEND,
        upload_name=f"upload_{upload.upload_id}",
        upload_type=UploadType.STREAM,
        updates_by_default=False,
    )


class _Writing:
    """Adds uploads, with their datasets and tables when these are missing."""

    def __init__(self, editor: CatalogEditor) -> None:
        self._editor = editor
        self._owners: dict[str, Owner] = {}
        self._version_ids: dict[tuple[str, str], int] = {}
        self._table_ids: dict[tuple[int, str], int] = {}

    def add(self, upload: FoundUpload) -> None:
        """Adds an upload with its segments."""
        place = place_of(upload)
        table_id = self._table_id(place)
        newest = upload.schemas[max(upload.schemas)]

        def add_upload(name: str) -> None:
            new = NewUpload(
                table_id, name, place.upload_type, newest, updates_by_default=place.updates_by_default
            )
            self._editor.uploads.add_recovered(upload.upload_id, new, list(upload.schemas.values()))

        _under_free_name(add_upload, place.upload_name)
        self._editor.segments.name_recovered(upload.upload_id, upload.segments, _counters(upload))

    def _table_id(self, place: UploadPlace) -> int:
        version_id = self._version_id(place)
        key = version_id, place.table_identifier or place.table_name
        if key not in self._table_ids:
            self._table_ids[key] = _under_free_name(
                lambda name: (
                    self._editor.tables.add(
                        NewTable(
                            version_id,
                            name,
                            None,
                            place.merge_strategy,
                            is_file_index=False,
                            identifier=place.table_identifier or None,
                        )
                    ).id
                ),
                place.table_name,
            )
        return self._table_ids[key]

    def _version_id(self, place: UploadPlace) -> int:
        owner = self._owner(place)
        key = owner.name, place.dataset_identifier
        if key not in self._version_ids:
            dataset = _under_free_name(
                lambda name: self._editor.datasets.add(
                    NewDataset(owner, name, AccessLevel.NONE, None, place.dataset_identifier or None), None
                ),
                place.dataset_name,
            )
            if dataset.next_version_id is None:
                raise LookupError(f"dataset {dataset.name} was made without a version")
            self._version_ids[key] = dataset.next_version_id
        return self._version_ids[key]

    def _owner(self, place: UploadPlace) -> Owner:
        key = place.owner_name.casefold()
        if key not in self._owners:
            self._owners[key] = self._editor.owners.add(place.owner_kind, place.owner_name)
        return self._owners[key]


def _under_free_name(add: Callable[[str], Made], name: str) -> Made:
    """Adds something under its name, or under the next free one with a number behind it."""
    for number in range(1, NUMBERS_MAX):
        ending = "" if number == 1 else f"_{number}"
        try:
            return add(f"{name[: UPLOAD_NAME_CHARACTERS_MAX - len(ending)]}{ending}")
        except DuplicateError:
            continue
    raise LookupError(f"{name} and {NUMBERS_MAX} names like it are taken")


def _counters(upload: FoundUpload) -> RecoveredCounters:
    """Returns the counters that an upload had when its last segment was written."""
    batches = [rows for segment in upload.segments for rows in unpacked_counts(segment.batches)]
    chains = [segment.chain for segment in upload.segments if segment.chain is not None]
    return RecoveredCounters(
        row_count=upload.row_count,
        byte_count=upload.byte_count,
        chain=chains[-1] if chains else CHAIN_START,
        chain_first_row=upload.row_count - sum(batches),
        commit_count=len(batches),
    )
