"""`rowkeep insert` as a process, into a stream of its own."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tests.api.stream import Stream
from tests.server_process import ServerProcess

SCHEMA = [
    {"name": "site", "type": "string"},
    {"name": "count", "type": "integer"},
    {"name": "temperature", "type": "float"},
    {"name": "valid", "type": "boolean"},
    {"name": "day", "type": "date"},
]


def settings_of(server: ServerProcess) -> dict[str, str]:
    """The environment that tells the command where the server is."""
    return {"ROWKEEP_URL": server.url, "ROWKEEP_TOKEN": server.token}


def start_insert(server: ServerProcess, *arguments: str, **environment: str) -> "subprocess.Popen[str]":
    """Starts the command with a server; its standard input is a pipe."""
    settings = {**os.environ, **settings_of(server), **environment}
    return subprocess.Popen(
        [sys.executable, "-m", "rowkeep", "insert", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={name: value for name, value in settings.items() if value},
    )


class InsertCommand:
    """Runs the command with one server, table and upload."""

    def __init__(self, server: ServerProcess, stream: Stream) -> None:
        self.stream = stream
        self.table = stream.table_uri.removeprefix("/tables/")
        self._server = server
        self._settings = settings_of(server)

    def start(self, *arguments: str, **environment: str) -> "subprocess.Popen[str]":
        """Starts it; its standard input is a pipe."""
        return start_insert(self._server, self.table, "s", *arguments, **environment)

    def run(
        self, *arguments: str, text: str | None = None, **environment: str
    ) -> "subprocess.CompletedProcess[str]":
        """Runs it to its end, with `text` as its standard input."""
        with self.start(*arguments, **environment) as process:
            out, err = process.communicate(text, timeout=60)
            return subprocess.CompletedProcess(arguments, process.returncode, out, err)

    def run_in_shell(self, script: str, *arguments: str) -> int:
        """Runs a shell script with the interpreter, the table and more arguments; its exit status."""
        command = ["bash", "-c", script, sys.executable, self.table, *arguments]
        return subprocess.run(
            command, env={**os.environ, **self._settings}, check=False, timeout=60, stdout=subprocess.DEVNULL
        ).returncode

    def rows(self, variable: str) -> list[object]:
        """What the table holds of a variable, in its order."""
        return [row.get(variable) for row in self.stream.rows()]


@contextmanager
def insert_command(server: ServerProcess, schema: list[dict[str, str]] | None) -> Iterator[InsertCommand]:
    """The command with a stream of its own."""
    stream = Stream(server.url, server.token, schema, server.user)
    try:
        yield InsertCommand(server, stream)
    finally:
        stream.close()
