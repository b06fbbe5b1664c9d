"""`rowkeep verify`, `backup` and `restore` on real data, also under a running server."""

import shutil
import sqlite3
import threading
from pathlib import Path

import pytest

from tests import command_line, plain_http
from tests.api.stream import Stream
from tests.command_line import Done
from tests.server_process import ServerProcess

SCHEMA = [{"name": "n", "type": "integer"}, {"name": "text", "type": "string"}]


def run(*arguments: str, data_dir: Path) -> Done:
    """Runs a command, whatever becomes of it."""
    return command_line.run(*arguments, "--data-dir", str(data_dir))


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory with a stream of 300 rows in 30 entries, its server stopped."""
    server = ServerProcess(tmp_path_factory.mktemp("filled") / "data")
    server.start()
    stream = Stream(server.url, server.token, SCHEMA, server.user)
    for start in range(0, 300, 10):
        rows = [{"n": number, "text": f"row {number}"} for number in range(start, start + 10)]
        assert stream.insert({"rows": rows}).status_code == 201
    stream.close()
    assert server.stop() == 0
    server.close()
    return server.data_dir


@pytest.fixture
def copy(filled: Path, tmp_path: Path) -> Path:
    """A copy of it, to be damaged."""
    shutil.copytree(filled, tmp_path / "data")
    return tmp_path / "data"


def test_whole_data_is_whole(filled: Path) -> None:
    """Exit status 0 and how much was read."""
    done = run("verify", data_dir=filled)
    assert done.returncode == 0, done.stdout
    assert done.stdout == "300 rows in 1 uploads read back: everything is whole.\n"


DAMAGES = {
    "an entry is gone": (
        "DELETE FROM entries WHERE first_row = 100",
        "entry after row 100 begins at row 110",
    ),
    "the last entry is gone": ("DELETE FROM entries WHERE first_row = 290", "should hold 300 rows"),
    "the rows of an entry are others": (
        "UPDATE entries SET payload = CAST(replace(payload, 'row 55', 'row 56') AS BLOB) WHERE first_row=50",
        "entry at row 50 cannot be read",
    ),
    "an entry says that it holds more": (
        "UPDATE entries SET row_count = 11 WHERE first_row = 290",
        "entry at row 290 cannot be read",
    ),
    "a counter is off": ("UPDATE streams SET row_count = row_count + 1", "should hold 301 rows"),
    "an entry names another schema": (
        "UPDATE entries SET schema_version = 7 WHERE first_row = 0",
        "cannot be read",
    ),
    "a schema is gone": ("DELETE FROM schemas", "cannot be read"),
    "an upload is gone": ("DELETE FROM uploads", "refers to nothing"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_found(copy: Path, damage: str) -> None:
    """Whatever is missing, changed or miscounted: exit status 1 and a line that says where."""
    statement, complaint = DAMAGES[damage]
    with sqlite3.connect(copy / "rowkeep.db") as database:
        database.execute("PRAGMA foreign_keys = OFF")
        database.execute(statement)
    database.close()
    done = run("verify", data_dir=copy)
    assert done.returncode == 1
    assert complaint in done.stdout


def test_a_backup_is_one_moment_of_a_busy_server(own_server: ServerProcess, tmp_path: Path) -> None:
    """While rows stream in: the copy holds whole requests, all that were acknowledged before it began."""
    stream = Stream(own_server.url, own_server.token, SCHEMA, own_server.user)
    stop = threading.Event()
    acknowledged = [0]

    def insert() -> None:
        with plain_http.client(headers={"Authorization": f"Bearer {own_server.token}"}) as client:
            while not stop.is_set():
                rows = [{"n": acknowledged[0]}] * 10
                response = client.post(f"{own_server.url}{stream.upload_uri}/rows", json={"rows": rows})
                assert response.status_code == 201
                acknowledged[0] += 1

    writer = threading.Thread(target=insert)
    writer.start()
    while acknowledged[0] < 20:
        pass
    before = acknowledged[0]
    done = run("backup", str(tmp_path / "copy"), data_dir=own_server.data_dir)
    stop.set()
    writer.join()
    assert done.returncode == 0, done.stderr
    restored = run("restore", str(tmp_path / "copy"), data_dir=tmp_path / "restored")
    assert restored.returncode == 0, restored.stdout
    row_count = int(restored.stdout.split()[0].replace(",", ""))
    assert row_count % 10 == 0
    assert before * 10 <= row_count <= (acknowledged[0] + 1) * 10
    stream.close()


def test_a_restored_server_has_everything(filled: Path, tmp_path: Path) -> None:
    """Users, tokens, data sets and rows are there; the server takes rows on."""
    assert run("backup", str(tmp_path / "copy"), data_dir=filled).returncode == 0
    assert run("restore", str(tmp_path / "copy"), data_dir=tmp_path / "restored").returncode == 0
    done = run("verify", data_dir=tmp_path / "restored")
    assert "300 rows" in done.stdout
    assert {file.name for file in (tmp_path / "copy").iterdir()} == {
        "backup.json",
        "rowkeep.db",
        "rowkeep.json",
        "raw_files",
        "segments",
    }


@pytest.fixture
def backup(filled: Path, tmp_path: Path) -> Path:
    """A backup."""
    assert run("backup", str(tmp_path / "backup"), data_dir=filled).returncode == 0
    return tmp_path / "backup"


def test_nothing_is_written_over(filled: Path, backup: Path, tmp_path: Path) -> None:
    """A backup needs a new name, a restore an empty place; each says so and changes nothing."""
    again = run("backup", str(backup), data_dir=filled)
    assert (again.returncode, "exists already" in again.stderr) == (1, True)
    over = run("restore", str(backup), data_dir=filled)
    assert (over.returncode, "is not empty" in over.stderr) == (1, True)
    nothing = run("backup", str(tmp_path / "x"), data_dir=tmp_path / "none")
    assert (nothing.returncode, "there is no data" in nothing.stderr) == (1, True)
    assert not (tmp_path / "none").exists()
    assert run("verify", data_dir=filled).returncode == 0


def test_a_damaged_backup_is_not_restored(backup: Path, tmp_path: Path) -> None:
    """The list of what is wrong, exit status 1, and no data directory."""
    with sqlite3.connect(backup / "rowkeep.db") as database:
        database.execute("DELETE FROM entries WHERE first_row = 0")
    database.close()
    done = run("restore", str(backup), data_dir=tmp_path / "restored")
    assert done.returncode == 1
    assert "begins at row 10" in done.stdout
    assert not (tmp_path / "restored").exists()
