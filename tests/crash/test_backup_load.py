"""A backup has what was loaded; what was not is told, and never waits for ever."""

from pathlib import Path

from tests.api.loading import finished, load, long_load, parquet_of, workers_of
from tests.api.publishing import Publication
from tests.command_line import rowkeep
from tests.server_process import ServerProcess, wait_until


def test_a_backup_beside_a_load(own_server: ServerProcess, tmp_path: Path) -> None:
    """Made while a file is loaded: what was loaded before is in it; that load fails there with a reason."""
    made = Publication(own_server)
    made.add_table("answers")
    done = load(made, "answers", parquet_of(id=[1, 2, 3]), name="done.parquet")
    under_way = long_load(made)
    wait_until(lambda: workers_of(own_server))
    rowkeep("backup", str(tmp_path / "backup"), data_dir=own_server.data_dir)
    assert finished(made, under_way["uri"])["status"] == "completed"
    made.close()
    own_server.stop()
    rowkeep("restore", str(tmp_path / "backup"), data_dir=tmp_path / "restored")
    own_server.data_dir = tmp_path / "restored"
    own_server.start(int(own_server.url.split(":")[2].split("/")[0]))
    again = Publication(own_server)
    again.reference = made.reference
    assert again.rows("answers", "next") == [{"id": 1}, {"id": 2}, {"id": 3}]
    assert again.done("GET", done["uri"])["status"] == "completed"
    failed = finished(again, under_way["uri"])
    assert failed["status"] == "failed"
    assert "not on the server any more" in failed["errorMessage"]
    assert "everything is whole" in rowkeep("verify", data_dir=own_server.data_dir)
    again.close()
