"""The command line loads a command when it is called, and no library that the command does not use."""

import re
import subprocess
import sys

import click
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


def options_of(command: click.Command) -> list[click.Option]:
    """The options of a command and of those in it."""
    inside = command.commands.values() if isinstance(command, click.Group) else ()
    own = [parameter for parameter in command.params if isinstance(parameter, click.Option)]
    return own + [option for one in inside for option in options_of(one)]


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_option_says_what_it_means(name: str) -> None:
    """--help has a sentence for each option, and its default where it is not a must."""
    command = commands.get_command(None, name)  # type: ignore[arg-type]  # the context is not looked at
    assert command is not None
    for option in options_of(command):
        assert option.help, option.name
        says_default = option.show_default or "default" in option.help.lower()
        assert says_default or option.required, f"{option.name}: {option.help}"


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_is_there(name: str) -> None:
    """The table of commands names modules and attributes that exist, and gives each its summary."""
    command = commands.get_command(None, name)  # type: ignore[arg-type]  # the context is not looked at
    assert command is not None
    assert command.name == name
    assert COMMANDS[name].summary.endswith(".")


def test_a_misspelt_command_names_the_nearest() -> None:
    """One that is like no other is refused as before."""
    for name, words in (("imprt", "Did you mean 'import'?"), ("zzzz", "No such command 'zzzz'.")):
        with pytest.raises(click.UsageError, match=re.escape(words)):
            commands.main([name], standalone_mode=False)
