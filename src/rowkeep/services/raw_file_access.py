"""Access to raw files: whoever may read the rows of a version that holds a file may read the file."""

from collections.abc import Sequence

from rowkeep.model.access import AccessLevel, Caller, Principal
from rowkeep.model.errors import RowkeepError, not_found
from rowkeep.model.raw_files import RawFile
from rowkeep.services.access import Place, permit, place_at, principal_of, signed_in
from rowkeep.storage.catalog.catalog import CatalogView
from rowkeep.storage.catalog.raw_files import PlacedFile


def found_file(view: CatalogView, principal: Principal, identifier: str) -> PlacedFile:
    """Returns a file. Raises not_found_error, invalid_token for an anonymous caller."""
    found = view.raw_files.find(identifier)
    if found is None:
        signed_in(principal)
        raise _absent()
    return found


def _absent() -> RowkeepError:
    return not_found("There is no such file, or you can no longer see it.")


def own_place(view: CatalogView, principal: Principal, file: PlacedFile) -> Place:
    """Returns where a file was added. Raises not_found_error where the caller sees nothing."""
    places = _places(view, principal, file, [file.version_id])
    if not places:
        signed_in(principal)
        raise _absent()
    return places[0]


def require_reader(view: CatalogView, principal: Principal, file: PlacedFile) -> None:
    """Raises what reading the table would raise.

    The version that counts is the last one that has the file and that the caller sees.
    """
    places = _places(view, principal, file, view.raw_files.version_ids(file.id))
    if not places:
        signed_in(principal)
        raise _absent()
    refusals: list[RowkeepError] = []
    for place in reversed(places):
        try:
            permit(principal, place, AccessLevel.DATA)
        except RowkeepError as error:
            refusals.append(error)
        else:
            return
    raise refusals[-1]


def _places(
    view: CatalogView, principal: Principal, file: PlacedFile, version_ids: Sequence[int]
) -> list[Place]:
    """Returns the versions among these that the caller sees, oldest first."""
    dataset = view.datasets.by_id(file.dataset_id, principal.user_id)
    if dataset is None:
        return []
    versions = view.versions.by_id(version_ids)
    places = [place_at(principal, dataset, versions[each]) for each in version_ids]
    return [place for place in places if not place.version.is_deleted and place.level is not AccessLevel.NONE]


def readable_files(caller: Caller, identifiers: Sequence[str], view: CatalogView) -> list[RawFile]:
    """Returns those of some files that the caller may read. Access is the same for all files of an upload."""
    principal = principal_of(view, caller)
    may_read: dict[int, bool] = {}
    files = view.raw_files.of_identifiers(identifiers)
    for file in files:
        if file.upload_id not in may_read:
            may_read[file.upload_id] = _may_read(view, principal, file)
    return [file for file in files if may_read[file.upload_id]]


def _may_read(view: CatalogView, principal: Principal, file: PlacedFile) -> bool:
    try:
        require_reader(view, principal, file)
    except RowkeepError:
        return False
    return True
