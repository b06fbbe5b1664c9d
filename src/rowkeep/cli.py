"""The command line `rowkeep`: a group whose commands are loaded when they are called. See design 6.

Each command is a file in `commands/`, imported only when it runs, so that `rowkeep token create` does not
wait for libraries that only the server needs. This is the one place that imports by name. The package
rowkeep-client (packages/client) is made of the same files and lacks the server's commands.
"""

import sys
from difflib import get_close_matches
from importlib import import_module
from importlib.util import find_spec
from typing import NamedTuple

import click

from rowkeep import __version__
from rowkeep.model.errors import RowkeepError
from rowkeep.storage.base import StorageError


class CommandPlace(NamedTuple):
    """Where a command is: its module in `commands/`, its attribute, and its line in `rowkeep --help`."""

    module: str
    attribute: str
    summary: str


COMMANDS = {
    "access": CommandPlace("access", "access", "Who may do what with a dataset besides its owner."),
    "audit": CommandPlace("audit", "audit_command", "Who did what, when and from where."),
    "backup": CommandPlace("backup", "backup_command", "Copy everything to a new folder."),
    "bench": CommandPlace("bench", "bench", "Measure this server on this machine."),
    "create": CommandPlace("create", "create_command", "Create a dataset, a table or a stream."),
    "describe": CommandPlace("describe", "describe_command", "Describe a dataset or a table."),
    "export": CommandPlace("export", "export_command", "Write the rows of a table to a file."),
    "follow": CommandPlace("follow", "follow_command", "Print rows when they are committed."),
    "head": CommandPlace("head", "head_command", "Show the first rows of a table."),
    "import": CommandPlace("import_files", "import_command", "Load files of any type into a table."),
    "insert": CommandPlace("insert", "insert_command", "Insert the rows of a file into a stream."),
    "login": CommandPlace("login", "login_command", "Sign in to a server."),
    "logout": CommandPlace("login", "logout_command", "Forget the token for a server."),
    "ls": CommandPlace("ls", "ls_command", "List datasets, tables or uploads."),
    "organization": CommandPlace("organization", "organization", "Organizations."),
    "quarantine": CommandPlace("quarantine", "quarantine", "Rows of an upload that did not fit."),
    "query": CommandPlace("query", "query_command", "Run a query and print its result."),
    "recover": CommandPlace("recover", "recover_command", "Make a lost rowkeep.db again of the segments."),
    "release": CommandPlace("release", "release_command", "Release the next version of a dataset."),
    "restore": CommandPlace("backup", "restore_command", "Make a new data directory of a backup."),
    "serve": CommandPlace("serve", "serve_command", "Serve the data directory until SIGTERM."),
    "share": CommandPlace("share", "share", "Who may do what with a dataset, over the API."),
    "show": CommandPlace("show", "show_command", "Show a dataset or a table."),
    "status": CommandPlace("status", "status_command", "Whether the server answers, and who you are to it."),
    "token": CommandPlace("token", "token", "API tokens."),
    "torture": CommandPlace("torture", "torture_command", "Kill a server under load and look for losses."),
    "undo": CommandPlace("undo", "undo_command", "Take the rows of one request back."),
    "user": CommandPlace("user", "user", "Users."),
    "verify": CommandPlace("verify", "verify_command", "Read everything back and check it."),
}


def _is_here(name: str) -> bool:
    """Returns whether a command is installed. rowkeep-client has only the commands that talk to a server."""
    return find_spec(f"rowkeep.commands.{COMMANDS[name].module}") is not None


class LazyGroup(click.Group):
    """A group of commands that imports a command when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's own signature
        """Returns the names of all commands."""
        return sorted(name for name in COMMANDS if _is_here(name))

    def get_command(
        self,
        ctx: click.Context,  # noqa: ARG002 - click's own signature
        cmd_name: str,
    ) -> click.Command | None:
        """Returns a command, or None when there is none of that name."""
        place = COMMANDS.get(cmd_name)
        if place is None:
            return None
        if not _is_here(cmd_name):
            raise click.UsageError(
                f"`rowkeep {cmd_name}` works on the server's machine, where the package rowkeep is "
                "installed. This is rowkeep-client."
            )
        command: click.Command = getattr(import_module(f"rowkeep.commands.{place.module}"), place.attribute)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Returns the command that arguments name. Raises UsageError with the nearest name."""
        name, known = args[0], self.list_commands(ctx)
        near = get_close_matches(name, known, 1)
        if near and name not in COMMANDS:
            raise click.UsageError(f"No such command {name!r}. Did you mean {near[0]!r}?", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes the list of commands without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, COMMANDS[name].summary) for name in self.list_commands(ctx)])


@click.group(cls=LazyGroup)
@click.version_option(__version__)
def commands() -> None:
    """Stream rows into typed tables over HTTP: durable on 201, readable at once."""


def main() -> None:
    """Runs the command line; an expected failure is one line on stderr and exit status 1."""
    try:
        commands(prog_name="rowkeep")
    except RowkeepError as error:
        _fail(error.message)
    except (StorageError, ValueError, OSError) as error:
        _fail(str(error))


def _fail(message: str) -> None:
    click.echo(f"rowkeep: {message}", err=True)
    sys.exit(1)
