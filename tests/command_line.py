"""Commands of the command line, run inside the test's own process.

A process for each command costs most of a second, nearly all of it Python's start. Tests whose subject is the
process itself (signals, pipes, exit statuses as a shell sees them) start one; all others come here.
"""

import os
import sys
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from unittest.mock import patch

import msgspec

from rowkeep.cli import main


class Done(msgspec.Struct, frozen=True):
    """A command that has ended: its exit status and what it printed."""

    returncode: int
    stdout: str
    stderr: str


def run(*arguments: str, **environment: str) -> Done:
    """Runs a command to its end, whatever becomes of it."""
    out, err = StringIO(), StringIO()
    with (
        patch.object(sys, "argv", ["rowkeep", *arguments]),
        patch.dict(os.environ, environment),
        redirect_stdout(out),
        redirect_stderr(err),
    ):
        status = _exit_status()
    return Done(status, out.getvalue(), err.getvalue())


def _exit_status() -> int:
    try:
        main()
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    return 0


def rowkeep(*arguments: str, data_dir: Path) -> str:
    """Runs a command that must succeed; returns what it printed."""
    done = run(*arguments, "--data-dir", str(data_dir))
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def refusal(*arguments: str, data_dir: Path) -> str:
    """Runs a command that must fail; returns the one line that it says on stderr."""
    done = run(*arguments, "--data-dir", str(data_dir))
    assert done.returncode == 1
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("rowkeep: ")
    return line
