"""Results that are kept for a day: exports with their files, and queries, go after it, and not before."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from rowkeep.services import upkeep
from rowkeep.storage import export_files
from tests.api.access_table import API
from tests.api.counting import CountingServer, counting_server
from tests.wall_clock import wall_clock

HOUR = 3_600
TABLE = f"{API}/tables/ada.d.t"


def test_exports_and_queries_expire(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An hour before its time an export has its file; an hour later it is no more, and its file is swept.

    A file of another name in the folder is not rowkeep's to remove.
    """
    monkeypatch.setattr(upkeep, "PAUSE_SECONDS", 0.05)
    monkeypatch.setattr(export_files, "GRACE_SECONDS", 0.2)
    folder = tmp_path / "data" / "exports"

    async def run() -> None:
        with wall_clock() as clock:
            async with counting_server(tmp_path) as server:
                export, query = await _made(server)
                (folder / "note").write_text("not an export")
                clock.pass_seconds(23 * HOUR)
                await _rounds_of_upkeep(server, "export_results", 3)
                assert (await server.done("GET", f"{API}{export}/download")).content == b'"n"\n1\n'
                await server.done("GET", f"{API}{query}/rows")
                clock.pass_seconds(2 * HOUR)
                await _until(lambda: [file.name for file in folder.iterdir()] == ["note"])
                for path in (export, query):
                    assert (await server.asked("GET", f"{API}{path}")).status_code == 404

    asyncio.run(run())


async def _made(server: CountingServer) -> tuple[str, str]:
    """A completed export and a completed query; their paths."""
    await server.done("POST", f"{API}/users/ada/datasets", {"name": "d", "publicAccessLevel": "none"})
    await server.done("POST", f"{API}/datasets/ada.d/tables", {"name": "t"})
    stream = {"name": "s", "type": "stream", "schema": [{"name": "n", "type": "integer"}]}
    await server.done("POST", f"{TABLE}/uploads", stream)
    await server.done("POST", f"{TABLE}/uploads/s/rows", {"rows": [{"n": 1}]})
    export = (await server.done("POST", f"{TABLE}/exports", {"format": "csv"})).json()
    while export["status"] in ("queued", "running"):
        await asyncio.sleep(0.05)
        export = (await server.done("GET", f"{API}{export['uri']}")).json()
    query = (await server.done("POST", f"{API}/queries", {"query": "SELECT 1", "timeoutMs": 60_000})).json()
    assert (export["status"], query["status"]) == ("completed", "completed")
    return export["uri"], query["uri"]


async def _rounds_of_upkeep(server: CountingServer, statement: str, count: int) -> None:
    """Waits until upkeep has come by so often, as its last statement tells."""
    seen = server.database.names.count(statement)
    await _until(lambda: server.database.names.count(statement) >= seen + count)


async def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if condition():
            return
        await asyncio.sleep(0.05)
    raise AssertionError("it did not come about")
