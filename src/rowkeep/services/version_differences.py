"""The difference between a version and the one before: whether it can be released, and under which tag.

Tags only grow: v1.0, then the next major when a table or variable has gone, was renamed or has another type,
else the next minor. Source: contract 4.3, 7.15.
"""

from collections.abc import Iterator

import msgspec

from rowkeep.model.jobs import UNFINISHED
from rowkeep.model.resources import Content, Table, Version
from rowkeep.model.schema import merged_schema
from rowkeep.model.types import VariableType
from rowkeep.storage.catalog.catalog import CatalogView

TABLES_PER_PAGE = 1_000


class TableState(msgspec.Struct, frozen=True):
    """The properties of a table whose change counts as a change from one version to the next."""

    name: str
    content_hash: str
    types: dict[str, VariableType]


class VersionDifference(msgspec.Struct, frozen=True):
    """The tables of a version and of the one before it, by their ids, which stay from version to version."""

    previous: Version | None
    before: dict[str, TableState]
    after: dict[str, TableState]


def version_difference(view: CatalogView, version: Version) -> VersionDifference:
    """Returns the difference between a version and the one before it."""
    previous = view.versions.before(version)
    before = {} if previous is None else _states(view, previous)
    return VersionDifference(previous, before, _states(view, version))


def _states(view: CatalogView, version: Version) -> dict[str, TableState]:
    return {table.identifier: _state(table, content) for table, content in tables_of(view, version)}


def _state(table: Table, content: Content) -> TableState:
    variables = merged_schema(content.schemas).variables
    return TableState(
        table.name, content.hash, {variable.name.lower(): variable.type for variable in variables}
    )


def tables_of(view: CatalogView, version: Version) -> Iterator[tuple[Table, Content]]:
    """Yields the tables of a version with their contents, read in pages."""
    after_id = 0
    while tables := view.tables.page(version.id, after_id, TABLES_PER_PAGE):
        contents = view.tables.contents([table.id for table in tables])
        yield from ((table, contents[table.id]) for table in tables)
        after_id = tables[-1].id


def release_problem(view: CatalogView, version: Version, difference: VersionDifference) -> str | None:
    """Returns why the unreleased version cannot be released yet, or None."""
    return _load_problem(view, version) or _difference_problem(difference)


def _load_problem(view: CatalogView, version: Version) -> str | None:
    """Returns why loads of files keep the unreleased version from being released, or None."""
    found = view.jobs.unfilled_upload(version.id)
    if found is None:
        return None
    name, status = found
    if status in UNFINISHED:
        return f"The upload {name} is still being loaded. Release when it is completed, or delete it."
    return f"The upload {name} could not be loaded. Delete it, or send its file again, and then release."


def _difference_problem(difference: VersionDifference) -> str | None:
    previous = difference.previous
    if previous is not None and difference.after == difference.before:
        return f"There is nothing to release: no table differs from version {previous.tag}."
    return None


def next_tag_after(last: tuple[int, int] | None, difference: VersionDifference) -> tuple[int, int]:
    """Returns the two numbers of a version's tag. `last` are those of the highest tag given so far."""
    if last is None:
        return 1, 0
    if difference.previous is None or _breaks(difference.before, difference.after):
        return last[0] + 1, 0
    return last[0], last[1] + 1


def _breaks(before: dict[str, TableState], after: dict[str, TableState]) -> bool:
    """Returns whether a table or variable of the version before has gone or changed its type."""
    for identifier, table in before.items():
        now = after.get(identifier)
        if now is None or now.name != table.name:
            return True
        if any(now.types.get(name) is not type_ for name, type_ in table.types.items()):
            return True
    return False
