"""kill -9 while an export is written: it is begun again, or fails with a reason; no file is left over."""

import os
import signal

from tests.api.exporting import content, ended
from tests.api.loading import load, parquet_of, workers_of
from tests.api.publishing import Json, Publication
from tests.crash.test_kill_load import restart
from tests.server_process import ServerProcess, wait_until

ROWS = 200_000


def begun(server: ServerProcess, made: Publication) -> Json:
    """An export that lasts some seconds, under way."""
    made.add_table("answers")
    file = parquet_of(id=list(range(ROWS)), text=[f"text {number}" for number in range(ROWS)])
    assert load(made, "answers", file, name="a.parquet")["status"] == "completed"
    wait_until(lambda: not workers_of(server))
    asked: Json = made.done("POST", f"{made.table('answers')}/exports", {"format": "avro"})
    wait_until(lambda: workers_of(server))
    return asked


def files_of(server: ServerProcess) -> list[str]:
    """The files of exports in the data directory."""
    return sorted(file.name for file in (server.data_dir / "exports").iterdir())


def test_a_worker_is_killed(own_server: ServerProcess) -> None:
    """The export fails with a reason, and no file of it is kept; the next one is made."""
    made = Publication(own_server)
    asked = begun(own_server, made)
    for worker in workers_of(own_server):
        os.kill(worker, signal.SIGKILL)
    found = ended(made, asked)
    assert (found["status"], found["size"]) == ("failed", None)
    assert "memory" in found["errorMessage"]
    assert files_of(own_server) == []
    again = ended(made, made.done("POST", f"{made.table('answers')}/exports", {"format": "csv"}))
    assert (again["status"], again["numRows"]) == ("completed", ROWS)
    made.close()


def test_the_server_is_killed(own_server: ServerProcess) -> None:
    """The next start writes the export again; it has every row, and files that it names alone."""
    made = Publication(own_server)
    asked = begun(own_server, made)
    own_server.kill()
    restart(own_server)
    found = ended(made, made.done("GET", asked["uri"]))
    assert (found["status"], found["numRows"], found["fileCount"]) == ("completed", ROWS, 1)
    assert len(content(made, found)) == found["size"]
    assert len(files_of(own_server)) == 1
    made.close()
