"""Data directories that earlier versions really made are upgraded: their rows, keys and tokens go on."""

import asyncio
import shutil
from pathlib import Path

import httpx
import pytest

from rowkeep.services.access import token_hash
from rowkeep.services.read.read import read_request
from rowkeep.storage.backups.making import back_up
from rowkeep.storage.backups.restoring import restore
from rowkeep.storage.doors import read_snapshot
from rowkeep.storage.local_files import DataDirectory
from rowkeep.storage.opening import open_database
from rowkeep.storage.verification import verify
from tests.arrow_streams import table_of
from tests.kept_directories import (
    ADDED,
    KEY,
    RELEASED,
    SEALING_SCHEMA,
    TABLE,
    archive_of,
    kept_numbers,
    unpack,
)
from tests.plain_http import request
from tests.server_process import ServerProcess
from tests.unit.read_world import World

ARCHIVE_BYTES_MAX = 64 * 1024
NUMBERS = kept_numbers()


def site_counts(world: World, reference: str) -> list[tuple[object, object]]:
    """Two cells of each row of a table, in order."""
    asked = read_request(reference, None, "arrow", ["site", "count"], None)
    parts = world.rest(world.run(world.reads.list_rows(world.owner, asked)))
    return [(row["site"], row["count"]) for row in table_of(b"".join(parts)).to_pylist()]


@pytest.mark.parametrize("number", NUMBERS)
def test_its_rows_are_all_there(tmp_path: Path, number: int) -> None:
    """Verify finds it whole; both versions have the rows that were inserted; others are added behind them."""
    data, token = unpack(number, tmp_path)
    segments = list((data / "segments").glob("*.parquet"))
    assert bool(segments) == (number >= SEALING_SCHEMA)
    with asyncio.Runner() as runner:
        world = World(data, runner)
        report = verify(world.database, world.directory)
        assert (report.problems, report.row_count) == ((), len(RELEASED) + len(ADDED))
        released = [(row["site"], row["count"]) for row in RELEASED]
        added = [(row["site"], row["count"]) for row in ADDED]
        assert site_counts(world, "ada.survey:v1.0.answers") == released
        assert site_counts(world, TABLE) == [*released, *added]
        principal = read_snapshot(
            world.database, lambda view: view.tokens.principal(token_hash(token.encode()))
        )
        assert principal is not None
        assert principal.user_name == "ada"
        world.close()


@pytest.mark.parametrize("number", [min(NUMBERS), max(NUMBERS)])
def test_a_backup_of_it_is_restored(tmp_path: Path, number: int) -> None:
    """What an earlier version backed up, which was a copy without a record, is restored by this one."""
    data, _ = unpack(number, tmp_path)
    restored = restore(data, tmp_path / "restored")
    assert (restored.problems, restored.record) == ((), None)
    directory = DataDirectory(tmp_path / "restored")
    assert back_up(directory, tmp_path / "backup").segment_count == len(list(directory.segments.iterdir()))


def test_a_server_serves_the_oldest(tmp_path: Path) -> None:
    """Its token is good, a key of then is known, its stream takes rows, and all of it is whole after."""
    data, token = unpack(min(NUMBERS), tmp_path)
    server = ServerProcess(tmp_path / "server")
    shutil.rmtree(server.data_dir)
    data.rename(server.data_dir)
    server.start()
    headers = {"Authorization": f"Bearer {token}"}

    def insert(upload: str, key: str) -> httpx.Response:
        return request(
            "POST",
            f"{server.url}/tables/{TABLE}/uploads/{upload}/rows",
            headers={**headers, "Idempotency-Key": key},
            json={"rows": RELEASED[:10]},
        )

    assert insert("second", "new").status_code == 201
    found = request("GET", f"{server.url}/tables/{TABLE}", headers=headers).json()
    assert found["numRows"] == len(RELEASED) + len(ADDED) + 10
    known = request(
        "GET",
        f"{server.url}/tables/ada.survey:v1.0.answers/uploads/first/requests/{KEY}",
        headers=headers,
    )
    assert (known.json()["state"], known.json()["key"]) == ("stored", KEY)
    assert server.stop() == 0
    database = open_database(DataDirectory(server.data_dir))
    assert verify(database, DataDirectory(server.data_dir)).problems == ()
    database.close()
    server.close()


def test_kept_directories_are_small() -> None:
    """They are in the repository for good."""
    assert [number for number in NUMBERS if archive_of(number).stat().st_size > ARCHIVE_BYTES_MAX] == []
