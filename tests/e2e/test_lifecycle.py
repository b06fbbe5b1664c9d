"""The server as a process: starting, being asked how it is, stopping, being killed."""

import http.client
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import psutil
import pytest

from rowkeep.config import Settings
from rowkeep.server import DRAIN_SECONDS_MAX
from tests import plain_http
from tests.api.stream import Stream
from tests.command_line import rowkeep
from tests.server_process import ServerProcess, wait_until


def origin_of(server: ServerProcess) -> str:
    """The server without the path of its API."""
    return server.url.removesuffix("/api/v1")


def get(server: ServerProcess, path: str) -> httpx.Response:
    """Asks without a token."""
    return plain_http.get(origin_of(server) + path)


def connect(server: ServerProcess) -> socket.socket:
    """A bare connection."""
    address = urlsplit(server.url)
    return socket.create_connection((address.hostname, address.port), timeout=30)


def start_that_fails(*arguments: str) -> str:
    """What a server says that must not start, in the last line, after what it logs."""
    command = [sys.executable, "-m", "rowkeep", "serve", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 1
    assert done.stdout == ""
    line = done.stderr.splitlines()[-1]
    assert line.startswith("rowkeep: ")
    return line


def test_listening_line_comes_when_it_listens(own_server: ServerProcess) -> None:
    """With port 0 the line names the port that was found, and a request right after it is answered."""
    assert urlsplit(own_server.url).port not in (0, None)
    assert own_server.url.endswith("/api/v1")
    assert get(own_server, "/healthz").status_code == 200


def test_health_of_a_working_server(server: ServerProcess) -> None:
    """/healthz and /readyz answer 200 without a token."""
    assert get(server, "/healthz").json() == {"status": "ok"}
    ready = get(server, "/readyz").json()
    assert ready["status"] == "ready"
    assert ready["durability"].keys() == {"class", "fsyncMs", "fileSystem"}
    assert ready["durability"]["fsyncMs"] > 0


def figures(server: ServerProcess) -> dict[str, float]:
    """What /metrics shows, by name and labels."""
    response = get(server, "/metrics")
    assert response.headers["content-type"].startswith("text/plain; version=0.0.4")
    lines = [line for line in response.text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}


def test_metrics_count_what_happens(own_server: ServerProcess) -> None:
    """Rows, requests by status and commits move with the requests that cause them, and by as much."""
    stream = Stream(own_server.url, own_server.token, [{"name": "n", "type": "integer"}], own_server.user)
    before = figures(own_server)
    for _ in range(3):
        assert stream.insert({"rows": [{"n": 1}, {"n": 2}]}).status_code == 201
    assert stream.insert({"rows": [{"n": "one"}]}).status_code == 400
    after = figures(own_server)
    moved = {name: after[name] - before.get(name, 0) for name in after}
    assert moved["rowkeep_rows_inserted_total"] == 6
    assert moved["rowkeep_batches_inserted_total"] == 3
    assert moved["rowkeep_commits_total"] == 3
    assert moved['rowkeep_requests_total{status="201"}'] == 3
    assert moved['rowkeep_requests_total{status="400"}'] == 1
    assert moved["rowkeep_commit_seconds_total"] > 0
    assert after["rowkeep_queue_bytes"] == 0
    assert after["rowkeep_ready"] == 1
    stream.close()


def test_disk_that_fails_turns_health_red(own_server: ServerProcess) -> None:
    """When the disk refuses a write nothing more is taken, reads go on, and a restart makes it well."""
    stream = Stream(own_server.url, own_server.token, [{"name": "s", "type": "string"}], own_server.user)
    assert stream.insert({"rows": [{"s": "kept"}]}).status_code == 201
    own_server.data_dir.joinpath("rowkeep.db-wal").stat()
    resource.prlimit(own_server.pid, resource.RLIMIT_FSIZE, (1024, resource.RLIM_INFINITY))
    for _ in range(2):
        refused = stream.insert({"rows": [{"s": "x" * 100_000}]})
        assert (refused.status_code, refused.json()["error"]) == (503, "unavailable")
        assert int(refused.headers["retry-after"]) > 0
    not_ready = get(own_server, "/readyz")
    assert (not_ready.status_code, not_ready.json()["status"]) == (503, "failed")
    assert not_ready.json()["reason"]
    assert get(own_server, "/healthz").status_code == 200
    assert figures(own_server)["rowkeep_ready"] == 0
    assert stream.rows() == [{"s": "kept"}]
    own_server.stop()
    own_server.start(port=urlsplit(own_server.url).port or 0)
    assert get(own_server, "/readyz").status_code == 200
    assert stream.insert({"rows": [{"s": "again"}]}).status_code == 201
    assert stream.rows() == [{"s": "kept"}, {"s": "again"}]
    stream.close()


def test_one_server_per_data_directory(own_server: ServerProcess) -> None:
    """A second server on the same data directory does not start, and says why."""
    said = start_that_fails("--data-dir", str(own_server.data_dir), "--port", "0")
    assert "Another server is using" in said
    assert str(own_server.data_dir) in said


def test_port_in_use(tmp_path: Path) -> None:
    """A server whose port is taken does not start, and says which."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = start_that_fails("--data-dir", str(tmp_path), "--port", str(port))
    assert f"127.0.0.1:{port}" in said


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_idle_connections_do_not_hold_up_the_stop(own_server: ServerProcess, number: signal.Signals) -> None:
    """Asked to stop, the server ends with status 0 although keep-alive connections are open."""
    address = urlsplit(own_server.url)
    kept = http.client.HTTPConnection(address.hostname or "", address.port)
    kept.request("GET", "/healthz")
    assert kept.getresponse().read()
    with connect(own_server):
        started = time.monotonic()
        assert own_server.process is not None
        own_server.process.send_signal(number)
        assert own_server.process.wait(timeout=60) == 0
        assert time.monotonic() - started < DRAIN_SECONDS_MAX
    kept.close()


def test_body_that_stalls_does_not_hold_up_the_stop(own_server: ServerProcess) -> None:
    """A request whose body never comes is given up after some seconds."""
    stream = Stream(own_server.url, own_server.token, None, own_server.user)
    with connect(own_server) as connection:
        connection.sendall(
            f"POST {urlsplit(own_server.url).path}{stream.upload_uri}/rows HTTP/1.1\r\nHost: x\r\n"
            f"Authorization: Bearer {own_server.token}\r\nContent-Length: 100\r\n\r\n{{".encode()
        )
        time.sleep(0.3)
        started = time.monotonic()
        assert own_server.stop() == 0
        assert time.monotonic() - started < Settings().body_stall_seconds_max / 2
    stream.close()


class Sender(threading.Thread):
    """Inserts one numbered row after another until the server is gone; keeps the acknowledged ones."""

    def __init__(self, server: ServerProcess, path: str, first: int) -> None:
        super().__init__()
        self._numbers = range(first, first + 1_000_000)
        self._client = plain_http.client(
            base_url=server.url, headers={"Authorization": f"Bearer {server.token}"}
        )
        self._path = path
        self.acknowledged: list[int] = []
        self.last_answer = ""

    def run(self) -> None:
        """Sends until a request is not answered with 201."""
        for number in self._numbers:
            try:
                response = self._client.post(self._path, json={"rows": [{"n": number}]})
            except httpx.TransportError as error:
                self.last_answer = type(error).__name__
                break
            if response.status_code != 201:
                self.last_answer = response.text
                break
            self.acknowledged.append(number)
        self._client.close()


@pytest.mark.parametrize("ending", ["stop", "kill"])
def test_no_acknowledged_row_is_lost(own_server: ServerProcess, ending: str) -> None:
    """Stopped or killed under load, the server has kept each row that it acknowledged, exactly once."""
    stream = Stream(own_server.url, own_server.token, [{"name": "n", "type": "integer"}], own_server.user)
    senders = [Sender(own_server, f"{stream.upload_uri}/rows", k * 1_000_000) for k in range(8)]
    for sender in senders:
        sender.start()
    wait_until(lambda: all(len(sender.acknowledged) > 20 for sender in senders))
    getattr(own_server, ending)()
    for sender in senders:
        sender.join(timeout=30)
    own_server.start(port=urlsplit(own_server.url).port or 0)
    kept = [row["n"] for row in stream.rows()]
    acknowledged = [number for sender in senders for number in sender.acknowledged]
    assert len(set(kept)) == len(kept)
    assert not set(acknowledged) - set(kept)
    # What was sent and not answered may be kept or not: at most one row of each sender.
    assert len(kept) <= len(acknowledged) + len(senders)
    if ending == "stop":
        assert len(kept) == len(acknowledged), [sender.last_answer for sender in senders]
    assert stream.row_count() == len(kept)
    stream.close()


def test_kill_leaves_nothing_behind(own_server: ServerProcess) -> None:
    """Killing the one process ends everything: the decoding process goes with it."""
    children = psutil.Process(own_server.pid).children(recursive=True)
    assert children
    own_server.kill()
    wait_until(lambda: not any(child.is_running() for child in children))


def test_catalog_survives_a_restart(own_server: ServerProcess) -> None:
    """Users, tokens, datasets and rows are there after a restart."""
    stream = Stream(own_server.url, own_server.token, None, own_server.user)
    stream.insert({"rows": [{"name": "Jane", "age": 30}]})
    own_server.stop()
    rowkeep("user", "create", "made_meanwhile", data_dir=own_server.data_dir)
    own_server.start(port=urlsplit(own_server.url).port or 0)
    assert stream.rows() == [{"name": "Jane", "age": 30}]
    stream.close()
