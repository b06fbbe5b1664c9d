"""The bounds of what is kept of requests, and of how much is verified at a time."""

import asyncio

import pytest

from rowkeep.model.errors import ErrorCode, RowkeepError
from rowkeep.model.receipts import Rejection
from tests.unit.readworld import TABLE, World


@pytest.fixture
def filled(world: World) -> World:
    """An upload with a row."""
    world.create("s", [{"name": "id", "type": "integer"}])
    world.insert("s", [{"id": 1}])
    return world


def test_the_latest_rejections_are_kept(filled: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over the bound the oldest go; one that is refused again counts as new."""
    monkeypatch.setattr("rowkeep.storage.editor.REJECTIONS_MAX", 3)
    for key in ("a", "b", "c", "a", "d"):
        rejection = Rejection(5, f"of {key}", (), 0)
        filled.run(
            filled.doors.write(lambda editor, key=key, made=rejection: editor.add_rejection(1, key, made))
        )
    kept = [
        key for key in "abcd" if filled.run(filled.doors.read(lambda view, key=key: view.rejection(1, key)))
    ]
    assert kept == ["a", "c", "d"]


def test_only_so_many_are_verified_at_a_time(filled: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """One more is refused and may come again; each that ended, well or not, makes room."""
    monkeypatch.setattr("rowkeep.services.receipts.VERIFICATIONS_MAX", 1)
    verify = filled.receipts.verify

    async def both() -> list[object]:
        asked = [verify(filled.owner, TABLE, "s") for _ in range(2)]
        return list(await asyncio.gather(*asked, return_exceptions=True))

    for _ in range(2):
        found = filled.run(both())
        refused = [error for error in found if isinstance(error, RowkeepError)]
        assert [error.code for error in refused] == [ErrorCode.UNAVAILABLE]
    assert filled.run(verify(filled.owner, TABLE, "s")).outcome.problem is None
