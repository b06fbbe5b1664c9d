"""Files of exports that no export names: they have a grace, and then they go."""

import asyncio
from pathlib import Path
from types import SimpleNamespace

import pytest

from rowkeep.model.errors import RowkeepError
from rowkeep.storage import export_files
from rowkeep.storage.export_files import GRACE_SECONDS, ExportFolder
from rowkeep.storage.local_files import Disk

NAMED, UNNAMED = "0abc-x1-1-000000", "0abc-x2-1-000000"


@pytest.fixture
def moments(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock that a test sets, for the folder alone; its last value is now."""
    values = [0.0]
    monkeypatch.setattr(export_files, "time", SimpleNamespace(monotonic=lambda: values[-1]))
    return values


def test_an_unnamed_file_goes_after_its_grace(tmp_path: Path, moments: list[float]) -> None:
    """It may be about to be named: so it is watched first, and one that is named meanwhile stays."""
    folder = ExportFolder(tmp_path, Disk())
    for name in (NAMED, UNNAMED, "of somebody else"):
        (tmp_path / name).write_text("x")
    named = {NAMED}

    async def sweep() -> int:
        async def names() -> set[str]:
            return named

        return await folder.sweep(names)

    def swept() -> int:
        with asyncio.Runner() as runner:
            return runner.run(sweep())

    def files() -> set[str]:
        return {file.name for file in tmp_path.iterdir()}

    assert swept() == 0
    moments.append(GRACE_SECONDS - 1)
    assert swept() == 0
    named.add(UNNAMED)
    moments.append(2 * GRACE_SECONDS)
    assert swept() == 0
    named.discard(UNNAMED)
    moments.append(3 * GRACE_SECONDS)
    assert swept() == 0
    moments.append(4 * GRACE_SECONDS)
    assert swept() == 1
    assert files() == {NAMED, "of somebody else"}


def test_a_file_that_is_open_is_read_to_its_end(tmp_path: Path) -> None:
    """Who downloads while an export is deleted gets the whole file; whoever comes later hears of it."""
    (tmp_path / NAMED).write_bytes(b"all of it")
    folder = ExportFolder(tmp_path, Disk())
    file = folder.open(NAMED)

    async def read() -> bytes:
        await folder.remove(NAMED)
        return b"".join([part async for part in file.parts(0, 9)])

    assert asyncio.run(read()) == b"all of it"
    with pytest.raises(RowkeepError, match="not on the server any more"):
        folder.open(NAMED)
