"""The current version of the catalog, for many requests that ask at the same time.

A look at the catalog costs a thread and a snapshot, which is more than refusing a small request costs.
Requests that ask while a look is under way therefore share the next look. They cannot share the one under
way: it may have begun before a change that the asker already knows of.
"""

import asyncio

from rowkeep.storage.catalog.doors import Doors


class CatalogLooks:
    """Looks up the catalog's version, one look at a time. Used on one event loop."""

    def __init__(self, doors: Doors) -> None:
        self._doors = doors
        self._turn = asyncio.Lock()
        self._next: asyncio.Task[int] | None = None

    async def version(self) -> int:
        """Returns a version that the catalog had after this was called."""
        if self._next is None:
            self._next = asyncio.create_task(self._look())
        return await asyncio.shield(self._next)

    async def _look(self) -> int:
        async with self._turn:
            self._next = None
            return await self._doors.read(lambda view: view.catalog_version())
