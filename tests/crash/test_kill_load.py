"""kill -9 of the server while it loads files: a load is begun again, and its rows are there once, or none."""

import random
import time
from pathlib import Path

import pytest

from tests.api.loading import begin_load, finished, load, parquet_of, worker_folders, workers_of
from tests.api.publishing import Publication
from tests.command_line import rowkeep
from tests.server_process import ServerProcess, wait_until

ROWS = 200_000
CONTENT = parquet_of(id=list(range(ROWS)), text=[f"text {number}" for number in range(ROWS)])


def restart(server: ServerProcess) -> None:
    """Starts a server again, at the same address."""
    server.start(int(server.url.split(":")[2].split("/")[0]))


def loaded_once(made: Publication, uri: str) -> None:
    """An upload is loaded in the end, with each row once and in order."""
    upload = finished(made, uri)
    assert (upload["status"], upload["numRows"]) == ("completed", ROWS)
    assert made.arrow(uri).column("id").to_pylist() == list(range(ROWS))
    assert made.done("GET", f"{uri}/verify")["isIntact"]


def check_kills(server: ServerProcess, count: int, seed: int) -> None:
    """Kills the server `count` times, at random moments of a load each."""
    chance = random.Random(seed)
    made = Publication(server)
    made.add_table("answers")
    for number in range(count):
        upload = begin_load(made, "answers", CONTENT, name=f"{number}.parquet")
        if chance.random() < 0.8:
            wait_until(lambda: workers_of(server))
        time.sleep(chance.random())
        workers = workers_of(server)
        server.kill()
        wait_until(lambda workers=workers: not any(is_running(worker) for worker in workers))
        restart(server)
        loaded_once(made, upload["uri"])
    made.close()
    assert worker_folders(server) == []
    wait_until(lambda: not list((server.data_dir / "temp_uploads").iterdir()))  # after the load is completed
    assert server.stop() == 0
    assert "everything is whole" in rowkeep("verify", data_dir=server.data_dir)


def is_running(process_id: int) -> bool:
    """Whether a process runs; one that waits to be reaped does not."""
    try:
        status = Path(f"/proc/{process_id}/stat").read_text(encoding="ascii")
    except FileNotFoundError:
        return False
    return status.rpartition(")")[2].split()[0] not in "ZX"


def test_kill_during_loads(own_server: ServerProcess) -> None:
    """Two kills; the workers die with the server."""
    check_kills(own_server, 2, seed=1)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(2, 5))
def test_kill_during_loads_at_length(own_server: ServerProcess, seed: int) -> None:
    """Ten kills of each of three servers."""
    check_kills(own_server, 10, seed)


def test_a_server_that_is_stopped_goes_on_with_its_loads(own_server: ServerProcess) -> None:
    """SIGTERM ends a load within seconds, without counting against it; the next start goes on."""
    made = Publication(own_server)
    made.add_table("answers")
    upload = begin_load(made, "answers", CONTENT, name="a.parquet")
    for _ in range(2):
        wait_until(lambda: workers_of(own_server))
        assert own_server.stop() == 0
        restart(own_server)
    loaded_once(made, upload["uri"])
    made.close()


def test_a_file_that_servers_die_of_fails(own_server: ServerProcess) -> None:
    """A load that was under way at three deaths is not begun again: it fails, and says so."""
    made = Publication(own_server)
    made.add_table("answers")
    upload = begin_load(made, "answers", CONTENT, name="a.parquet")
    for _ in range(3):
        wait_until(lambda: workers_of(own_server))
        own_server.kill()
        restart(own_server)
    failed = finished(made, upload["uri"])
    assert (failed["status"], failed["numRows"]) == ("failed", 0)
    assert "stopped 3 times" in failed["errorMessage"]
    assert load(made, "answers", parquet_of(id=[1]), name="b.parquet")["status"] == "completed"
    made.close()
