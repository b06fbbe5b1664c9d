"""The bounds of what is kept of requests, and of how much is verified at a time."""

import asyncio
import threading

import pytest

from rowkeep.model.errors import ErrorCode, RowkeepError
from rowkeep.model.receipts import ChainOutcome, Rejection
from rowkeep.services.insert.receipts import ReceiptService
from rowkeep.storage.catalog.catalog import CatalogView
from rowkeep.storage.opening import open_segments
from rowkeep.storage.segments.chaining import ChainReading
from tests.unit.read_world import TABLE, World


@pytest.fixture
def filled(world: World) -> World:
    """An upload with a row."""
    world.create("s", [{"name": "id", "type": "integer"}])
    world.insert("s", [{"id": 1}])
    return world


def test_the_latest_rejections_are_kept(filled: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over the bound the oldest go; one that is refused again counts as new."""
    monkeypatch.setattr("rowkeep.storage.catalog.receipts.REJECTIONS_MAX", 3)
    for key in ("a", "b", "c", "a", "d"):
        rejection = Rejection(5, f"of {key}", (), 0)
        filled.run(
            filled.doors.write(
                lambda editor, key=key, made=rejection: editor.receipts.add_rejection(1, key, made)
            )
        )
    kept = [
        key
        for key in "abcd"
        if filled.run(filled.doors.read(lambda view, key=key: view.receipts.rejection(1, key)))
    ]
    assert kept == ["a", "c", "d"]


class HeldReading:
    """A recomputation that waits until it may go on."""

    def __init__(self, reading: ChainReading, may_go_on: threading.Event) -> None:
        self._reading = reading
        self._may_go_on = may_go_on

    def step(self, view: CatalogView) -> ChainOutcome | None:
        """Waits, then does its work."""
        self._may_go_on.wait(60)
        return self._reading.step(view)


def test_only_so_many_are_verified_at_a_time(filled: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """One more is refused and may come again; one that ended makes room."""
    monkeypatch.setattr("rowkeep.services.insert.receipts.VERIFICATIONS_MAX", 1)
    may_go_on = threading.Event()
    store = open_segments(filled.directory)
    service = ReceiptService(
        filled.doors, lambda upload_id: HeldReading(ChainReading(store, upload_id), may_go_on)
    )

    async def two() -> None:
        asked = [asyncio.create_task(service.verify(filled.owner, TABLE, "s")) for _ in range(2)]
        done, waiting = await asyncio.wait(asked, timeout=60, return_when=asyncio.FIRST_COMPLETED)
        may_go_on.set()
        [refused], [held] = done, waiting
        error = refused.exception()
        assert isinstance(error, RowkeepError)
        assert error.code is ErrorCode.UNAVAILABLE
        assert (await held).outcome.problem is None

    filled.run(two())
    assert filled.run(service.verify(filled.owner, TABLE, "s")).outcome.problem is None
