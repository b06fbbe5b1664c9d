"""Clients of other versions and languages, each a process in an environment that scripts/test made for it."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.server_process import ServerProcess

ROOT = Path(__file__).parents[2]
SCRIPTS = Path(__file__).parent / "clients"
ENVIRONMENTS = ROOT / ".venv-clients"
SECONDS_MAX = 120
FACTS = "facts: "

Facts = dict[str, Any]


def python_of(version: str, installed: str) -> Path:
    """The Python that has this version of the client; the one `installed` beside the tests is theirs."""
    if version == installed:
        return Path(sys.executable)
    python = ENVIRONMENTS / version / "bin" / "python"
    if not python.exists():
        pytest.fail(f"There is no environment with redivis {version}. Run scripts/test, which makes it.")
    return python


def javascript_client() -> Path:
    """The folder of the JavaScript client, as npm installed it."""
    folder = ENVIRONMENTS / "javascript" / "node_modules" / "redivis"
    if not folder.exists():
        pytest.fail(
            "There is no JavaScript client. Install Node.js 18 or newer and npm, then run scripts/test, "
            "which fetches the client."
        )
    return folder


def drive(
    command: list[str | Path], server: ServerProcess, given: Facts, token: str | None = None
) -> dict[str, Facts]:
    """Runs a script that drives a client against the server; what it tells, by section.

    A script that fails ends the test with what it printed.
    """
    environment = {
        **os.environ,
        "HOME": str(server.data_dir.parent),  # where a client keeps what it knows of logins
        "REDIVIS_API_ENDPOINT": server.url,
        "REDIVIS_API_TOKEN": token or server.token,
        "NO_PROXY": "127.0.0.1,localhost",
    }
    # The script's own environment, not what the tests run in.
    environment.pop("PYTHONPATH", None)
    done = subprocess.run(
        command,
        input=json.dumps(given),
        capture_output=True,
        text=True,
        env=environment,
        check=False,
        timeout=SECONDS_MAX,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    lines = [json.loads(line[len(FACTS) :]) for line in done.stdout.splitlines() if line.startswith(FACTS)]
    return {line["section"]: line["facts"] for line in lines}
