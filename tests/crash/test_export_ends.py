"""Exports that end before they are done: for lack of room, of memory, or since the server stops."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.api.exporting import ended, export
from tests.api.loading import load, parquet_of, workers_of
from tests.api.publishing import Publication
from tests.crash.test_kill_export import begun, files_of
from tests.crash.test_kill_load import is_running, restart
from tests.crash.test_server_faults import SIZE_MIB, insert, stream_on
from tests.crash.test_server_faults import small_disk as small_disk  # a fixture
from tests.server_process import ServerProcess, wait_until

MEBIBYTE = 1024 * 1024


@pytest.fixture
def saving_server(small_disk: Path) -> Iterator[ServerProcess]:
    """A server on the small disk that keeps a quarter of it for inserts."""
    made = ServerProcess(small_disk, disk_reserve_bytes_min=str(6 * MEBIBYTE))
    made.start()
    yield made
    made.close()


def test_an_export_stops_at_the_reserve(saving_server: ServerProcess, small_disk: Path) -> None:
    """It says that there is no room and leaves nothing; inserts go on, and with room again so do exports."""
    made = Publication(saving_server)
    made.add_table("answers")
    text = "x" * 100
    assert load(made, "answers", parquet_of(text=[text] * 150_000), name="a.parquet")["status"] == "completed"
    stream = stream_on(saving_server)
    (small_disk / "filler").write_bytes(bytes((SIZE_MIB - 10) * MEBIBYTE))
    found = export(made, made.table("answers"), format="csv")
    assert found["status"] == "failed"
    assert "room on the server's disk" in found["errorMessage"]
    assert files_of(saving_server) == []
    wait_until(lambda: not list((small_disk / "jobs").iterdir()))
    assert insert(stream, 0).status_code == 201
    (small_disk / "filler").unlink()
    again = export(made, made.table("answers"), format="csv", compression="gzip")
    assert (again["status"], again["numRows"]) == ("completed", 150_000)
    stream.close()
    made.close()
    assert saving_server.stop() == 0


@pytest.fixture
def small_memory(tmp_path: Path) -> Iterator[ServerProcess]:
    """A server that gives an export a quarter of what is usual."""
    made = ServerProcess(tmp_path / "data", export_memory_bytes_max=str(256 * MEBIBYTE))
    made.start()
    yield made
    made.close()


def test_formats_that_are_held_keep_within_their_memory(small_memory: ServerProcess) -> None:
    """Stata and SPSS files are written in one go. Up to a share of the memory of an export they are written
    within it; beyond that the export says so, and is not killed.
    """
    made = Publication(small_memory)
    made.add_table("answers")
    file = parquet_of(text=[f"{number:0200d}" for number in range(170_000)])
    assert load(made, "answers", file, name="a.parquet")["status"] == "completed"
    for format_ in ("dta", "sav"):
        found = export(made, made.table("answers"), format=format_)
        assert (found["status"], found["numRows"]) == ("completed", 170_000), found
        made.done("DELETE", found["uri"])
    assert load(made, "answers", file, name="b.parquet")["status"] == "completed"
    for format_ in ("dta", "sav"):
        found = export(made, made.table("answers"), format=format_)
        assert found["status"] == "failed"
        assert f"too large for the format {format_}" in found["errorMessage"]
    assert files_of(small_memory) == []
    made.close()
    assert small_memory.stop() == 0


def test_the_server_is_stopped_while_an_export_is_written(own_server: ServerProcess) -> None:
    """It stops at once and without a fault; the next start writes the export, whole and once."""
    made = Publication(own_server)
    asked = begun(own_server, made)
    workers = workers_of(own_server)
    assert own_server.stop() == 0
    assert not [worker for worker in workers if is_running(worker)]
    restart(own_server)
    found = ended(made, made.done("GET", asked["uri"]))
    assert (found["status"], found["fileCount"]) == ("completed", 1)
    assert len(files_of(own_server)) == 1
    made.close()
