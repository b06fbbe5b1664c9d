"""Looks at the catalog are shared, and none is older than the question."""

import asyncio
from collections.abc import Callable
from typing import Any, cast

from rowkeep.services.insert.looking import CatalogLooks
from rowkeep.storage.catalog.catalog import CatalogView
from rowkeep.storage.catalog.doors import Doors

ASKERS = 50


class Catalog:
    """Answers with its version when it is allowed to; stands for a snapshot that takes its time."""

    def __init__(self) -> None:
        self.version = 1
        self.looks = 0
        self.has_begun = asyncio.Event()
        self.gate = asyncio.Event()

    def catalog_version(self) -> int:
        return self.version

    async def read(self, function: Callable[[CatalogView], Any]) -> Any:
        self.looks += 1
        found = function(cast(CatalogView, self))
        self.has_begun.set()
        await self.gate.wait()
        return found


async def ask_all() -> None:
    """Many ask while a look is under way; the catalog changes in between."""
    catalog = Catalog()
    looks = CatalogLooks(cast(Doors, catalog))
    first = asyncio.create_task(looks.version())
    await catalog.has_begun.wait()
    catalog.version = 2
    later = [asyncio.create_task(looks.version()) for _ in range(ASKERS)]
    later[0].cancel()  # one who gives up does not take the answer from the others
    await asyncio.sleep(0)
    catalog.gate.set()
    assert await first == 1
    assert await asyncio.gather(*later[1:]) == [2] * (ASKERS - 1)
    assert catalog.looks == 2


def test_those_who_ask_while_a_look_is_under_way_share_the_next() -> None:
    """Two looks for all, and whoever asked after the change sees it."""
    asyncio.run(ask_all())
