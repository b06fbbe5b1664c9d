"""Loads that end before they are done: deleted, killed, beyond their limits. Nothing of them stays."""

import os
import time
from pathlib import Path

from tests.api.loading import finished, load, long_load, parquet_of, worker_folders, workers_of
from tests.api.publishing import Publication
from tests.api.test_sealing import metric
from tests.server_process import ServerProcess, wait_until


def test_a_load_says_how_far_it_is(own_server: ServerProcess) -> None:
    """`percentCompleted` grows while a load runs, and is 100 at its end alone."""
    made = Publication(own_server)
    made.add_table("answers")
    upload = long_load(made)
    problem = made.refused(400, "POST", made.version("next", "release"), {})
    assert "still being loaded" in problem
    seen = [0]
    while (now := made.done("GET", upload["uri"]))["status"] in ("queued", "running"):
        seen.append(now["percentCompleted"])
        time.sleep(0.05)
    assert now["percentCompleted"] == 100
    assert seen == sorted(seen)
    assert max(seen) < 100
    made.close()


def test_deleting_an_upload_ends_its_load(own_server: ServerProcess) -> None:
    """DELETE ends the worker and removes what it has made, and the file that was sent."""
    made = Publication(own_server)
    made.add_table("answers")
    upload = long_load(made)
    wait_until(lambda: workers_of(own_server))
    made.done("DELETE", upload["uri"])
    wait_until(lambda: not workers_of(own_server))
    wait_until(lambda: not worker_folders(own_server))
    wait_until(lambda: not list((own_server.data_dir / "temp_uploads").iterdir()))
    assert list((own_server.data_dir / "segments").iterdir()) == []
    assert made.done("GET", f"{made.table('answers')}/uploads")["results"] == []
    made.close()


def test_deleting_the_table_ends_its_loads_too(own_server: ServerProcess) -> None:
    """A load of which the table goes is found out within seconds, and ended."""
    made = Publication(own_server)
    made.add_table("answers")
    long_load(made)
    wait_until(lambda: workers_of(own_server))
    made.done("DELETE", made.table("answers"))
    wait_until(lambda: not workers_of(own_server))
    wait_until(lambda: not worker_folders(own_server))
    made.close()


def test_a_worker_that_is_killed_fails_its_load_alone(own_server: ServerProcess) -> None:
    """A load whose worker dies fails with a reason; the server goes on, and the next load works."""
    made = Publication(own_server)
    made.add_table("answers")
    upload = long_load(made)
    wait_until(lambda: workers_of(own_server))
    for process_id in workers_of(own_server):
        os.kill(process_id, 9)
    failed = finished(made, upload["uri"])
    assert (failed["status"], failed["numRows"]) == ("failed", 0)
    assert "memory" in failed["errorMessage"]
    assert load(made, "answers", parquet_of(id=[1]), name="next.parquet")["status"] == "completed"
    assert metric(own_server, "rowkeep_jobs_failed_total") == 1
    assert metric(own_server, "rowkeep_jobs_completed_total") == 1
    assert len(list((own_server.data_dir / "segments").iterdir())) == 1
    made.close()


def test_a_load_beyond_its_memory_fails(tmp_path: Path) -> None:
    """A file that takes more memory than a load may use fails with that reason."""
    server = ServerProcess(tmp_path / "data", load_memory_bytes_max=str(60 * 1024 * 1024))
    server.start()
    made = Publication(server)
    made.add_table("answers")
    upload = load(
        made, "answers", parquet_of(text=[str(i) * 200 for i in range(500_000)]), name="big.parquet"
    )
    assert upload["status"] == "failed"
    assert "more memory" in upload["errorMessage"]
    made.close()
    server.close()
