"""The interface of the doors between asynchronous services and the synchronous catalog."""

from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

from rowkeep.model.receipts import Outcome
from rowkeep.model.resources import Batch
from rowkeep.model.timing import InsertTimes
from rowkeep.storage.catalog.catalog import CatalogEditor, CatalogView

Result = TypeVar("Result")


class Doors(Protocol):
    """The two ways from asynchronous services to storage, and the lane for rows.

    Functions passed through a door are plain and synchronous; nothing asynchronous goes below it.
    """

    async def read(self, function: Callable[[CatalogView], Result]) -> Result:
        """Runs a function on one consistent snapshot, in a reader thread."""

    async def write(self, function: Callable[[CatalogEditor], Result]) -> Result:
        """Runs a function in one durable transaction, on the writer's thread.

        Raises `unavailable` when only the part of the disk that is kept for inserts is left.
        """

    async def write_in_reserve(self, function: Callable[[CatalogEditor], Result]) -> Result:
        """Runs a function in one durable transaction, however little room is left on the disk.

        For functions that free room or take rights away, that belong to an insert, or that belong to the
        upkeep.
        """

    def submit(self, batch: Batch, times: InsertTimes | None = None) -> Awaitable[Outcome]:
        """Writes the rows of one request to the journal."""
