"""The catalog's version as of now, for many who ask at once.

A look costs a thread and a snapshot, more than refusing a small request does. So those who ask while a look
is under way share the next one. Not that one: it may have begun before a change that the asker has heard of.
"""

import asyncio

from rowkeep.storage.catalog.doors import Doors


class CatalogLooks:
    """Looks at the catalog's version, one look at a time. Used on one event loop."""

    def __init__(self, doors: Doors) -> None:
        self._doors = doors
        self._turn = asyncio.Lock()
        self._next: asyncio.Task[int] | None = None

    async def version(self) -> int:
        """A version that the catalog had after this was called."""
        if self._next is None:
            self._next = asyncio.create_task(self._look())
        return await asyncio.shield(self._next)

    async def _look(self) -> int:
        async with self._turn:
            self._next = None
            return await self._doors.read(lambda view: view.catalog_version())
