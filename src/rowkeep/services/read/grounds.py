"""Grounds: the rights that a reading of rows needs, checked again at every read.

A read session and the result of a query last for hours, and hold rows of versions that their reader was
permitted to read once. Since then a grant may have been withdrawn, a member may have left, public access may
have ended. So each read checks for every one of its grounds that the caller may read there now.

Deletion alone ends nothing (contract 7.32). Rows of a deleted version are read by whoever could read them
there, had it stayed. Rows of a deleted dataset are read by whoever administers its owner, since grants and
public access went with the dataset.
"""

from collections.abc import Iterable

from rowkeep.model.access import SCOPE_OF_LEVEL, AccessLevel, Principal
from rowkeep.model.errors import RowkeepError
from rowkeep.model.resources import Dataset, ReadGround
from rowkeep.services.access import Place, permit, place_at, require_scope, signed_in
from rowkeep.storage.catalog.catalog import CatalogView


def ground_of(place: Place, level: AccessLevel) -> ReadGround:
    """Returns the ground of a reading at a place. In an unreleased version it takes edit access."""
    needed = level if place.version.is_released else AccessLevel.EDIT
    return ReadGround(place.dataset.id, place.version.id, place.dataset.owner_id, needed)


def require_grounds(
    view: CatalogView, principal: Principal, grounds: Iterable[ReadGround], absent: RowkeepError
) -> None:
    """Raises `absent`, or what `permit` raises, unless the principal may read on all grounds now.

    An anonymous caller gets invalid_token instead of `absent`.
    """
    for ground in grounds:
        dataset = view.datasets.by_id(ground.dataset_id, principal.user_id)
        if dataset is None:
            _require_owner(view, principal, ground, absent)
        else:
            _require_level(view, principal, ground, dataset, absent)


def _require_owner(view: CatalogView, principal: Principal, ground: ReadGround, absent: RowkeepError) -> None:
    if not view.owners.administers(ground.owner_id, signed_in(principal).user_id or 0):
        raise absent
    require_scope(principal, SCOPE_OF_LEVEL[ground.level])


def _require_level(
    view: CatalogView, principal: Principal, ground: ReadGround, dataset: Dataset, absent: RowkeepError
) -> None:
    version = view.versions.by_id([ground.version_id]).get(ground.version_id)
    if version is None:  # only unreleased versions go without a trace
        if dataset.user_level is not AccessLevel.EDIT:
            signed_in(principal)
            raise absent
        require_scope(principal, SCOPE_OF_LEVEL[AccessLevel.EDIT])
        return
    place = place_at(principal, dataset, version)
    if place.level is AccessLevel.NONE:
        signed_in(principal)
        raise absent
    permit(principal, place, ground.level)
