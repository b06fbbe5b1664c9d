"""What an operator reads in the log: the start, the settings in force, refusals, and requests on demand."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rowkeep.config import Settings
from tests import plain_http
from tests.command_line import run
from tests.server_process import ServerProcess, wait_until

Json = dict[str, Any]


def lines_of(text: str, event: str) -> list[Json]:
    """The lines of a log about one event."""
    lines = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    return [line for line in lines if line["event"] == event]


@pytest.fixture(scope="module")
def talkative(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server that logs all it can."""
    started = ServerProcess(
        tmp_path_factory.mktemp("talkative") / "data", log_level="debug", access_log="true"
    )
    spool = started.data_dir / "spool"
    spool.mkdir(exist_ok=True)
    (spool / "body-abcd1234.body").touch()
    (spool / "somebody's own").touch()
    started.start()
    yield started
    started.close()


def test_the_start_and_the_settings_are_lines(talkative: ServerProcess) -> None:
    """The version, where it listens, and every setting with the value that is in force."""
    text = talkative.log()
    (starting,) = lines_of(text, "starting")
    assert starting["pid"] == talkative.pid
    (settings,) = lines_of(text, "settings in force")
    assert set(Settings.__struct_fields__) <= set(settings)
    assert (settings["log_level"], settings["access_log"], settings["readers_max"]) == ("debug", True, 4)
    assert settings["data_dir"] == str(talkative.data_dir)
    (listening,) = lines_of(text, "listening")
    assert listening["url"] == talkative.url


def test_a_removed_file_is_a_line(talkative: ServerProcess) -> None:
    """What an earlier server left is named when it is removed; what is not rowkeep's stays."""
    (removed,) = lines_of(talkative.log(), "file removed")
    assert removed["file"] == "spool/body-abcd1234.body"
    assert (talkative.data_dir / "spool" / "somebody's own").exists()


def test_each_request_is_a_line(talkative: ServerProcess) -> None:
    """Who asked for what, what they got and how long it took; no token, and of the query the names alone."""
    headers = {"Authorization": f"Bearer {talkative.token}", "X-Request-Id": "mine", "User-Agent": "probe"}
    path = "/users/me/nothing?where=secret+%3D+1"
    plain_http.get(f"{talkative.url}{path}", headers=headers)
    wait_until(lambda: any(line["request_id"] == "mine" for line in lines_of(talkative.log(), "request")))
    (line,) = [line for line in lines_of(talkative.log(), "request") if line["request_id"] == "mine"]
    assert (line["method"], line["path"], line["status"]) == ("GET", "/api/v1/users/me/nothing", 404)
    assert (line["address"], line["agent"], line["parameters"]) == ("127.0.0.1", "probe", ["where"])
    assert line["bytes"] > 0
    assert line["whole"] is True
    assert line["ms"] >= 0
    assert talkative.token not in talkative.log()
    assert "secret" not in talkative.log()


def test_debug_says_why_a_request_was_refused(talkative: ServerProcess) -> None:
    """The code and the message, under the id of the request."""
    headers = {"Authorization": f"Bearer {talkative.token}", "X-Request-Id": "refused-one"}
    plain_http.get(f"{talkative.url}/datasets/demo.no_such", headers=headers)
    refusals = lines_of(talkative.log(), "refused")
    (line,) = [line for line in refusals if line["request_id"] == "refused-one"]
    assert (line["code"], line["level"]) == ("not_found_error", "debug")
    assert "no_such" in line["reason"]


def test_requests_are_no_lines_by_default(server: ServerProcess) -> None:
    """Where nobody asked for it, a request leaves no trace in the log."""
    plain_http.get(f"{server.url.removesuffix('/api/v1')}/healthz", headers={"X-Request-Id": "quiet"})
    assert not lines_of(server.log(), "request")


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("--port", "70000"), "port must be between"),
        (("--log-level", "loud"), "log_level must be one of"),
        (("--workers", "3"), "one worker"),
        (("--host", "203.0.113.1"), "Cannot listen on 203.0.113.1"),
        (("--metrics-address", "9090"), "metrics_address must be a host and a port"),
    ],
)
def test_a_refused_start_is_a_line(tmp_path: Path, options: tuple[str, str], reason: str) -> None:
    """Whatever is wrong, the log says that the start was refused and why, and stderr says it to people."""
    done = run("serve", "--data-dir", str(tmp_path / "data"), *options)
    assert done.returncode == 1
    (line,) = lines_of(done.stderr, "start refused")
    assert reason in line["reason"]
    assert f"rowkeep: {line['reason']}" in done.stderr
