"""The command line: `rowkeep serve`, and what an operator creates. See design 6, docs/operating.md."""

import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import click

from rowkeep import __version__
from rowkeep.commands.insert import insert_command
from rowkeep.config import Settings, read_settings
from rowkeep.model.errors import RowkeepError
from rowkeep.model.resources import MemberRole, OwnerKind, Token
from rowkeep.server import StartError, serve
from rowkeep.services.accounts import create_organization, create_token, create_user, revoke_token
from rowkeep.services.datasets import find_owner
from rowkeep.services.grants import all_grants, delete_grant, named_dataset, set_grant
from rowkeep.services.organizations import delete_member, set_member
from rowkeep.storage.backup import back_up, restore
from rowkeep.storage.base import CatalogEditor, CatalogView, StorageError
from rowkeep.storage.doors import edit_catalog, read_snapshot
from rowkeep.storage.local_files import DataDirectory
from rowkeep.storage.sqlite import SqliteDatabase
from rowkeep.storage.verification import verify
from rowkeep.trials.fairness import run_fairness
from rowkeep.trials.following import FOLLOWER_COUNTS, run_following
from rowkeep.trials.formats import run_formats
from rowkeep.trials.growth import GROWTH_COUNTS, run_growth
from rowkeep.trials.opening import OPENING_COUNTS, run_opening
from rowkeep.trials.overload import run_overload
from rowkeep.trials.run import BenchmarkOptions, run_benchmark, run_memory
from rowkeep.trials.soak import run_soak
from rowkeep.trials.sustained import run_sustained
from rowkeep.trials.targets import peer
from rowkeep.trials.torture import TortureOptions, run_torture
from rowkeep.trials.variants import run_variants

Result = TypeVar("Result")

_data_dir = click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    default=Settings().data_dir,
    envvar="ROWKEEP_DATA_DIR",
    show_default=True,
    show_envvar=True,
    help="Where everything is kept.",
)


def _fail(message: str) -> None:
    click.echo(f"rowkeep: {message}", err=True)
    sys.exit(1)


def _edit(data_dir: Path, function: Callable[[CatalogEditor], Result]) -> Result:
    database = SqliteDatabase(DataDirectory(data_dir).database)
    try:
        return edit_catalog(database, function)
    finally:
        database.close()


def _read(data_dir: Path, function: Callable[[CatalogView], Result]) -> Result:
    database = SqliteDatabase(DataDirectory(data_dir).database)
    try:
        return read_snapshot(database, function)
    finally:
        database.close()


@click.group()
@click.version_option(__version__)
def commands() -> None:
    """Stream rows into typed tables over HTTP: durable on 201, readable at once."""


def _setting_options(command: Callable[..., Any]) -> Callable[..., Any]:
    defaults = Settings()
    for name in reversed(Settings.__struct_fields__):
        default = getattr(defaults, name)
        command = click.option(
            f"--{name.replace('_', '-')}",
            name,
            type=str if isinstance(default, Path) else type(default),
            default=None,
            help=f"Default {default}. [env var: ROWKEEP_{name.upper()}]",
        )(command)
    return command


@commands.command("serve")
@_setting_options
def serve_command(**options: object) -> None:
    """Serve the data directory until SIGTERM."""
    serve(read_settings(os.environ, **options))


@commands.group()
def user() -> None:
    """Users."""


@user.command("create")
@click.argument("name")
@_data_dir
def user_create(name: str, data_dir: Path) -> None:
    """Create a user."""
    click.echo(_edit(data_dir, lambda editor: create_user(editor, name)).name)


@commands.group()
def organization() -> None:
    """Organizations."""


@organization.command("create")
@click.argument("name")
@click.option("--admin", required=True, help="The user who administers it.")
@_data_dir
def organization_create(name: str, admin: str, data_dir: Path) -> None:
    """Create an organization."""
    click.echo(_edit(data_dir, lambda editor: create_organization(editor, name, admin)).name)


@organization.command("add-member")
@click.argument("name", metavar="ORGANIZATION")
@click.argument("user_name", metavar="USER")
@click.option("--admin", "role", flag_value=MemberRole.ADMINISTRATOR.value, help="As an administrator.")
@_data_dir
def organization_add_member(name: str, user_name: str, role: str | None, data_dir: Path) -> None:
    """Make a user a member of an organization, or change what they are in it."""

    def add(editor: CatalogEditor) -> None:
        found = find_owner(editor, OwnerKind.ORGANIZATION, name)
        set_member(editor, found, user_name, MemberRole(role or MemberRole.MEMBER))

    _edit(data_dir, add)


@organization.command("remove-member")
@click.argument("name", metavar="ORGANIZATION")
@click.argument("user_name", metavar="USER")
@_data_dir
def organization_remove_member(name: str, user_name: str, data_dir: Path) -> None:
    """End a membership; the next request of the user is answered as a stranger's."""

    def remove(editor: CatalogEditor) -> None:
        delete_member(editor, find_owner(editor, OwnerKind.ORGANIZATION, name), user_name)

    _edit(data_dir, remove)


_dataset_argument = click.argument("reference", metavar="OWNER.DATASET")
_grantee_argument = click.argument("grantee")


@commands.group()
def access() -> None:
    """Who may do what with a dataset besides its owner."""


@access.command("grant")
@_dataset_argument
@_grantee_argument
@click.argument("level")
@_data_dir
def access_grant(reference: str, grantee: str, level: str, data_dir: Path) -> None:
    """Grant a user, or everyone in an organization, the LEVEL overview, metadata, sample, data or edit."""
    _edit(data_dir, lambda editor: set_grant(editor, named_dataset(editor, reference), grantee, level))


@access.command("revoke")
@_dataset_argument
@_grantee_argument
@_data_dir
def access_revoke(reference: str, grantee: str, data_dir: Path) -> None:
    """Take a grant back; the next request of the grantee is refused."""
    _edit(data_dir, lambda editor: delete_grant(editor, named_dataset(editor, reference), grantee))


@access.command("list")
@_dataset_argument
@_data_dir
def access_list(reference: str, data_dir: Path) -> None:
    """List who was granted what on a dataset."""
    grants = _read(data_dir, lambda view: list(all_grants(view, named_dataset(view, reference))))
    click.echo(f"{'GRANTEE':<20} {'KIND':<12} LEVEL")
    for grant in grants:
        click.echo(f"{grant.grantee_name:<20} {grant.grantee_kind:<12} {grant.access_level.wire_name}")


@commands.group()
def token() -> None:
    """API tokens."""


@token.command("create")
@click.option("--user", "user_name", required=True, help="Whose token it is.")
@click.option("--scope", "scopes", multiple=True, help="May be given several times. [default: data.edit ...]")
@click.option("--expires", help="Such as 30d, 12h or 45m; never by default.")
@_data_dir
def token_create(user_name: str, scopes: tuple[str, ...], expires: str | None, data_dir: Path) -> None:
    """Create a token and print it, the only time it is shown."""
    click.echo(_edit(data_dir, lambda editor: create_token(editor, user_name, scopes, expires)))


@token.command("list")
@_data_dir
def token_list(data_dir: Path) -> None:
    """List the tokens, without the tokens themselves."""
    tokens = _read(data_dir, lambda view: view.tokens())
    click.echo(f"{'ID':>6}  {'USER':<20} {'CREATED':<20} {'EXPIRES':<20} {'STATE':<8} SCOPES")
    for item in tokens:
        click.echo(_token_line(item))


@token.command("revoke")
@click.argument("token_id", metavar="ID", type=int)
@_data_dir
def token_revoke(token_id: int, data_dir: Path) -> None:
    """Revoke a token; the next request with it is refused."""
    _edit(data_dir, lambda editor: revoke_token(editor, token_id))


@commands.command("bench")
@click.option("--rounds", default=5, show_default=True, help="Rounds over all targets; the median counts.")
@click.option("--seconds", default=3.0, show_default=True, help="How long each measurement takes.")
@click.option("--rows", default="1,10,100,1000", show_default=True, help="Rows a request.")
@click.option("--connections", default="1,16,64", show_default=True, help="Connections at a time.")
@click.option("--peer", "peers", nargs=3, multiple=True, metavar="NAME URL TOKEN", help="Another server.")
@click.option(
    "--measure",
    type=click.Choice(
        [
            *("inserts", "memory", "growth", "sustained", "opening", "following", "soak", "variants"),
            *("fairness", "formats", "overload"),
        ]
    ),
    default="inserts",
    show_default=True,
    help="What; docs/performance.md tells. The options above are for inserts.",
)
@click.option("--minutes", default=10.0, show_default=True, help="How long sustained and soak take.")
@click.option("--counts", default="", help="Of rows, uploads or followers. [default: as documented]")
@click.option("--directory", default=Path(), type=click.Path(path_type=Path), help="On the disk to measure.")
def bench(
    *,
    rounds: int,
    seconds: float,
    rows: str,
    connections: str,
    peers: tuple[tuple[str, str, str], ...],
    measure: str,
    minutes: float,
    counts: str,
    directory: Path,
) -> None:
    """Measure this server on this machine and print a report in Markdown."""
    options = BenchmarkOptions(
        rounds=rounds,
        seconds=seconds,
        rows=_numbers(rows),
        connections=_numbers(connections),
        peers=tuple(peer(*item) for item in peers),
        directory=directory,
    )
    measures = {
        "inserts": lambda: run_benchmark(options),
        "memory": lambda: run_memory(directory),
        "growth": lambda: run_growth(_numbers(counts) or GROWTH_COUNTS, directory),
        "sustained": lambda: run_sustained(minutes, directory),
        "opening": lambda: run_opening(_numbers(counts) or OPENING_COUNTS, directory),
        "following": lambda: run_following(_numbers(counts) or FOLLOWER_COUNTS, directory),
        "soak": lambda: run_soak(minutes, directory),
        "variants": lambda: run_variants(rounds, seconds, directory),
        "fairness": lambda: run_fairness(rounds, seconds, directory),
        "formats": lambda: run_formats(rounds, seconds, directory),
        "overload": lambda: run_overload(rounds, seconds, directory),
    }
    click.echo(measures[measure]())


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(",") if part)


@commands.command("verify")
@_data_dir
def verify_command(data_dir: Path) -> None:
    """Read everything back; exit status 1 and a list when something is not as it was written."""
    directory = _existing(data_dir)
    database = SqliteDatabase(directory.database)
    try:
        report = verify(database, directory)
    finally:
        database.close()
    click.echo(report.text)
    if report.problems:
        sys.exit(1)


@commands.command("backup")
@click.argument("destination", type=click.Path(path_type=Path))
@_data_dir
def backup_command(destination: Path, data_dir: Path) -> None:
    """Copy everything to a new folder, also while the server runs."""
    back_up(_existing(data_dir), destination)
    click.echo(destination)


@commands.command("restore")
@click.argument("source", type=click.Path(exists=True, file_okay=False, path_type=Path))
@_data_dir
def restore_command(source: Path, data_dir: Path) -> None:
    """Make a new data directory of a backup, after reading it back."""
    report = restore(source, data_dir)
    click.echo(report.text)
    if report.problems:
        sys.exit(1)


def _existing(data_dir: Path) -> DataDirectory:
    if not (data_dir / "rowkeep.db").exists():
        _fail(f"there is no data in {data_dir}.")
    return DataDirectory(data_dir)


@commands.command("torture")
@click.option("--minutes", default=5.0, show_default=True, help="How long.")
@click.option("--seed", default=1, show_default=True, help="Of the random moments.")
@click.option("--directory", default=Path(), type=click.Path(path_type=Path), help="On the disk to try.")
def torture(minutes: float, seed: int, directory: Path) -> None:
    """Kill a server of its own again and again under load, and check that nothing is lost or doubled."""
    outcome = run_torture(TortureOptions(seconds=minutes * 60, seed=seed, directory=directory))
    click.echo(outcome.text)
    if outcome.violations:
        sys.exit(1)


commands.add_command(insert_command)


def _token_line(item: Token) -> str:
    state = "revoked" if item.revoked_at else "valid"
    expires = _time_text(item.expires_at) if item.expires_at else "never"
    return (
        f"{item.id:>6}  {item.user_name:<20} {_time_text(item.created_at):<20} {expires:<20} "
        f"{state:<8} {item.scopes}"
    )


def _time_text(epoch_ms: int) -> str:
    return datetime.fromtimestamp(epoch_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")


def main() -> None:
    """Run the command line; an expected failure is one line on stderr and exit status 1."""
    try:
        commands(prog_name="rowkeep")
    except RowkeepError as error:
        _fail(error.message)
    except (StartError, StorageError, ValueError, OSError) as error:
        _fail(str(error))
