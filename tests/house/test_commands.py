"""The command line loads a command when it is called, and no library that the command does not use."""

import subprocess
import sys

import pytest

from rowkeep.cli import COMMANDS, commands

# Libraries that take longer to import than a small command takes to run.
HEAVY = {"duckdb", "granian", "numpy", "prometheus_client", "pyarrow", "shapely", "starlette"}
SMALL = [
    ("--help",),
    ("--version",),
    ("user", "create"),
    ("token", "create"),
    ("access", "grant"),
    ("organization",),
]


@pytest.mark.parametrize("arguments", SMALL, ids=" ".join)
def test_small_commands_load_no_heavy_library(arguments: tuple[str, ...]) -> None:
    """What an operator types often starts at once."""
    script = (
        "import sys\nfrom rowkeep.cli import commands\n"
        f"commands({[*arguments, '--help']!r}, standalone_mode=False)\n"
        "print(*sorted(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert not HEAVY & set(done.stderr.split())


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_is_there(name: str) -> None:
    """The table of commands names modules and attributes that exist, and gives each its summary."""
    command = commands.get_command(None, name)  # type: ignore[arg-type]  # the context is not looked at
    assert command is not None
    assert command.name == name
    assert COMMANDS[name].summary.endswith(".")
