"""A real server on a disk that is full, read-only or damaged: reads go on."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from rowkeep.storage.sqlite import SqliteDatabase
from tests import plain_http
from tests.api.loading import load, send
from tests.api.publishing import Publication
from tests.api.stream import Stream
from tests.api.test_sealing import metric
from tests.command_line import rowkeep
from tests.server_process import ServerProcess, wait_until

SCHEMA = [{"name": "n", "type": "integer"}, {"name": "text", "type": "string"}]
SIZE_MIB = 24
FILLER_MIB = 8


def mounted(*arguments: str) -> bool:
    """Whether a mount was made."""
    return subprocess.run(["mount", *arguments], capture_output=True, check=False).returncode == 0


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, so small that it is soon full."""
    folder = tmp_path / "data"
    folder.mkdir()
    if shutil.which("mount") is None or not mounted(
        "-t", "tmpfs", "-o", f"size={SIZE_MIB}m", "tmpfs", str(folder)
    ):
        pytest.skip("needs the right to mount a tmpfs")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture
def server(small_disk: Path) -> Iterator[ServerProcess]:
    """A server on the small disk that seals whatever it can."""
    made = ServerProcess(
        small_disk, seal_bytes_min=str(2**20), seal_minutes_max="0.01", disk_reserve_bytes_min="1"
    )
    made.start()
    yield made
    made.close()


def stream_on(server: ServerProcess) -> Stream:
    """An empty stream."""
    return Stream(server.url, server.token, SCHEMA, server.user)


def insert(stream: Stream, number: int) -> httpx.Response:
    """A row of some size that does not compress."""
    text = "".join(f"{(number * 7919 + part) * 2654435761 % 2**32:08x}" for part in range(3_000))
    return stream.insert({"rows": [{"n": number, "text": text}]})


def numbers(stream: Stream) -> list[int]:
    """The numbers of all rows."""
    return [row["n"] for row in stream.rows()]


def is_ready(server: ServerProcess) -> bool:
    """What `/readyz` says."""
    return plain_http.get(server.url.replace("/api/v1", "/readyz")).status_code == 200


def test_a_full_disk(server: ServerProcess, small_disk: Path) -> None:
    """While rows are sealed it fills up: 503 and red, reads go on; with room again it heals by itself."""
    (small_disk / "filler").write_bytes(bytes(FILLER_MIB * 2**20))
    stream = stream_on(server)
    acknowledged = 0
    while (response := insert(stream, acknowledged)).status_code == 201:
        acknowledged += 1
        assert acknowledged < 5_000, "the disk did not fill up"
    assert (response.status_code, response.json()["error"]) == (503, "unavailable")
    assert "Retry-After" in response.headers
    assert not is_ready(server)
    assert numbers(stream) == list(range(acknowledged))
    (small_disk / "filler").unlink()
    wait_until(lambda: is_ready(server))
    assert insert(stream, acknowledged).status_code == 201
    assert numbers(stream) == list(range(acknowledged + 1))
    server.kill()
    server.start()
    assert is_ready(server)
    assert server.stop() == 0
    assert "everything is whole" in rowkeep("verify", data_dir=small_disk)
    stream.close()


def test_a_disk_that_has_become_read_only(server: ServerProcess, small_disk: Path) -> None:
    """A server does not start on it and says why; when it can be written again, all is there."""
    stream = stream_on(server)
    for number in range(5):
        assert insert(stream, number).status_code == 201
    server.kill()
    assert mounted("-o", "remount,ro", str(small_disk))
    with pytest.raises(AssertionError, match="the server said ''"):
        server.start()
    assert "Read-only file system" in server.log()
    assert "Traceback" not in server.log()
    server.kill()
    assert mounted("-o", "remount,rw", str(small_disk))
    server.start()
    stream.close()
    again = plain_http.get(
        f"{server.url}{stream.table_uri}/rows",
        headers={"Authorization": f"Bearer {server.token}"},
    )
    assert len(again.text.splitlines()) == 5


def test_a_damaged_segment(tmp_path: Path) -> None:
    """Its rows are an error that says what to do; other rows, inserts and health are as before."""
    server = ServerProcess(tmp_path / "data", seal_bytes_min="1")
    server.start()
    damaged, whole = stream_on(server), stream_on(server)
    for stream in (damaged, whole):
        assert insert(stream, 0).status_code == 201
    # Not when the files are there: until they are named, the rows are read from the journal.
    wait_until(lambda: metric(server, "rowkeep_rows_sealed_total") == 2)
    first = min((tmp_path / "data/segments").glob("*.parquet"))
    with first.open("r+b") as file:
        file.truncate(100)
    response = damaged.client.get(f"{damaged.table_uri}/rows")
    assert (response.status_code, response.json()["error"]) == (500, "internal_error")
    assert numbers(whole) == [0]
    assert insert(damaged, 1).status_code == 201
    assert is_ready(server)
    for stream in (damaged, whole):
        stream.close()
    server.close()


def test_a_corrupted_page(tmp_path: Path) -> None:
    """A page of the journal that is overwritten: its rows are an error, verify tells, other rows are read."""
    server = ServerProcess(tmp_path / "data")
    server.start()
    damaged, whole = stream_on(server), stream_on(server)
    for number in range(20):
        for stream in (damaged, whole):
            assert insert(stream, number).status_code == 201
    assert server.stop() == 0
    overwrite_entry(tmp_path / "data/rowkeep.db")
    server.start(int(server.url.split(":")[2].split("/")[0]))
    response = damaged.client.get(f"{damaged.table_uri}/rows")
    assert (response.status_code, response.json()["error"]) == (500, "internal_error")
    assert numbers(whole) == list(range(20))
    assert insert(whole, 20).status_code == 201
    assert is_ready(server)
    assert server.stop() == 0
    with pytest.raises(AssertionError):
        rowkeep("verify", data_dir=tmp_path / "data")
    for stream in (damaged, whole):
        stream.close()
    server.close()


def overwrite_entry(file: Path) -> None:
    """Puts zeros over a page in the middle of the first upload's rows."""
    database = SqliteDatabase(file)
    with database.reading() as connection:
        [(payload,)] = connection.raw.execute("SELECT payload FROM entries WHERE upload_id=1 AND first_row=5")
        page_bytes = connection.raw.pragma("page_size")
    database.close()
    content = bytearray(file.read_bytes())
    at = content.index(payload[len(payload) // 2 :][:1_000])
    page = at // page_bytes * page_bytes
    content[page : page + page_bytes] = bytes(page_bytes)
    file.write_bytes(content)


@pytest.fixture
def saving_server(small_disk: Path) -> Iterator[ServerProcess]:
    """A server on the small disk that keeps a quarter of it for inserts."""
    made = ServerProcess(small_disk, disk_reserve_bytes_min=str(6 * 2**20))
    made.start()
    yield made
    made.close()


def test_a_disk_that_is_full_of_files(saving_server: ServerProcess, small_disk: Path) -> None:
    """Files that are sent stop at the reserve; inserts go on, and with room again so do files."""
    made = Publication(saving_server)
    made.add_table("answers")
    stream = stream_on(saving_server)
    (small_disk / "filler").write_bytes(bytes((SIZE_MIB - 8) * 2**20))
    refused = send(made, "answers", b"id\n" + b"123456789\n" * 400_000, name="big.csv")
    assert (refused.status_code, refused.json()["error"]) == (503, "unavailable")
    assert list((small_disk / "temp_uploads").iterdir()) == []
    assert made.done("GET", f"{made.table('answers')}/uploads")["results"] == []
    for number in range(20):
        assert insert(stream, number).status_code == 201
    (small_disk / "filler").unlink()
    assert load(made, "answers", b"id\n1\n", name="small.csv")["status"] == "completed"
    stream.close()
    made.close()
    assert saving_server.stop() == 0


def test_readers_cannot_stop_inserts(saving_server: ServerProcess, small_disk: Path) -> None:
    """Below the reserve nobody adds anything but rows: what takes room is refused, what gives it goes on."""
    made = Publication(saving_server, public_access_level="data")
    made.add_table("answers")
    made.add_table("spare")
    stream = stream_on(saving_server)
    (small_disk / "filler").write_bytes(bytes((SIZE_MIB - 6) * 2**20))
    additions = [
        ("POST", f"{made.table('answers')}/readSessions", {}),
        ("POST", f"{made.dataset('next')}/tables", {"name": "another"}),
        ("POST", "/queries", {"query": "SELECT 1"}),
    ]
    for method, path, body in additions:
        refused = made.ask(method, path, body)
        assert (refused.status_code, refused.json()["error"]) == (503, "unavailable"), path
        assert "nearly full" in refused.json()["error_description"]
        assert int(refused.headers["Retry-After"]) > 0
    assert insert(stream, 0).status_code == 201
    assert made.ask("DELETE", made.table("spare")).status_code == 200
    assert is_ready(saving_server)
    (small_disk / "filler").unlink()
    for method, path, body in additions:
        assert made.ask(method, path, body).status_code in (200, 201), path
    stream.close()
    made.close()
    assert saving_server.stop() == 0
