"""The real server as a process, with a user, an organization and a token, on a data directory of its own."""

import atexit
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from functools import cache
from pathlib import Path

from tests.command_line import rowkeep

START_SECONDS_MAX = 30
_listening = re.compile(r"rowkeep: listening on (https?://\S+)").match


@cache
def _seed() -> tuple[Path, str]:
    """Makes a data directory with a user, an organization and a token, once; returns it and the token.

    Every server begins with a copy of it, so that a token is good at all of them.
    """
    folder = Path(tempfile.mkdtemp(prefix="rowkeep-seed-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    data_dir = folder / "data"
    rowkeep("user", "create", ServerProcess.user, data_dir=data_dir)
    rowkeep(
        "organization", "create", ServerProcess.organization, "--admin", ServerProcess.user, data_dir=data_dir
    )
    return data_dir, rowkeep("token", "create", "--user", ServerProcess.user, data_dir=data_dir)


class ServerProcess:
    """A server that can be started, killed and started again on the same data."""

    user = "demo"
    organization = "lab"

    def __init__(self, data_dir: Path, **settings: str) -> None:
        self.data_dir = data_dir
        self._environment = {
            **os.environ,
            **{f"ROWKEEP_{name.upper()}": value for name, value in settings.items()},
        }
        self._log = (data_dir.parent / f"{data_dir.name}.log").open("ab")
        self.process: subprocess.Popen[str] | None = None
        self.url = ""
        seed, self.token = _seed()
        shutil.copytree(seed, data_dir, dirs_exist_ok=True)

    def start(self, port: int = 0) -> None:
        """Starts the server and waits until it says that it listens."""
        command = [sys.executable, "-m", "rowkeep", "serve", "--data-dir", str(self.data_dir)]
        self.process = subprocess.Popen(
            [*command, "--port", str(port)],
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            env=self._environment,
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        match = _listening(line)
        assert match is not None, f"the server said {line!r}; its log is {self._log.name}"
        self.url = match[1]

    @property
    def pid(self) -> int:
        """The process id of the running server."""
        assert self.process is not None
        return self.process.pid

    def kill(self) -> None:
        """Kills the server as a crash would."""
        assert self.process is not None
        self.process.kill()
        self._reap()

    def stop(self) -> int:
        """Stops the server in order; its exit status."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self._reap()

    def _reap(self) -> int:
        assert self.process is not None
        assert self.process.stdout is not None
        status = self.process.wait(timeout=60)
        self.process.stdout.close()
        self.process = None
        return status

    def close(self) -> None:
        """Ends the server, whatever its state."""
        if self.process is not None and "COVERAGE_PROCESS_CONFIG" in os.environ:
            self.stop()  # a process that is killed cannot tell which branches it took
        elif self.process is not None:
            self.kill()
        self._log.close()

    def log(self) -> str:
        """What the server has logged."""
        return Path(self._log.name).read_text(encoding="utf-8")


def wait_until(condition: "object", seconds_max: float = 60) -> None:
    """Waits for something that another process does; the bound only ends a test that would never end."""
    assert callable(condition)
    deadline = time.monotonic() + seconds_max
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)
