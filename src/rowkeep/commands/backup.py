"""`rowkeep backup` and `rowkeep restore`."""

import sys
from pathlib import Path

import click

from rowkeep.commands.data_directory import command_origin, data_dir_option, existing_directory
from rowkeep.services.accounts import revoke_everything
from rowkeep.storage.backups.folder import add_backup
from rowkeep.storage.backups.making import back_up
from rowkeep.storage.backups.record import BackupRecord
from rowkeep.storage.backups.restoring import restore
from rowkeep.storage.base import Database
from rowkeep.storage.doors import edit_catalog

AS_IT_WAS = """\
Everything is as it was then, and what was done since is not in it:
- Tokens that were revoked, and grants, memberships and public access that were ended since then, count again.
  Look through `rowkeep token list` and `rowkeep access list`{advice}.
- Rows, releases and deletions since then are missing. `rowkeep insert` and clients that repeat a request with
  its Idempotency-Key send their rows again.
- Files that waited to be loaded, and files of exports, are never in a backup: send or export them again."""


@click.command("backup")
@click.argument("destination", type=click.Path(path_type=Path), required=False)
@click.option(
    "--since",
    "earlier",
    metavar="BACKUP",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="An earlier backup: what is in both takes no room again. [default: copy everything]",
)
@click.option(
    "--into",
    "folder",
    metavar="FOLDER",
    type=click.Path(file_okay=False, path_type=Path),
    help="In place of DESTINATION, a folder of backups; this one is named after the time. [default: none]",
)
@click.option(
    "--keep",
    type=click.IntRange(min=1),
    help="With --into, remove the oldest until so many are left. [default: keep all]",
)
@data_dir_option
def backup_command(
    destination: Path | None, earlier: Path | None, folder: Path | None, keep: int | None, data_dir: Path
) -> None:
    """Copy everything to a new folder, also while the server runs."""
    if (destination is None) == (folder is None):
        raise click.UsageError("Name a DESTINATION that does not exist yet, or a folder with --into.")
    if folder is not None:
        if earlier is not None:
            raise click.UsageError("--since goes with a DESTINATION; --into finds the last one itself.")
        _add_to(folder, keep, data_dir)
        return
    if keep is not None:
        raise click.UsageError("--keep goes with --into.")
    assert destination is not None
    record = back_up(existing_directory(data_dir), destination, earlier=earlier)
    _tell(destination, record)


def _add_to(folder: Path, keep: int | None, data_dir: Path) -> None:
    change = add_backup(existing_directory(data_dir), folder, keep=keep)
    _tell(change.added, change.record)
    for removed in change.removed:
        click.echo(f"Removed {removed}.", err=True)


def _tell(destination: Path, record: BackupRecord) -> None:
    click.echo(destination)
    linked = record.segment_count - record.copied_count
    click.echo(
        f"{record.segment_count:,} segments: {record.copied_count:,} copied ({record.copied_bytes:,} bytes), "
        f"{linked:,} shared with an earlier backup.",
        err=True,
    )


@click.command("restore")
@click.argument("source", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--revoke-tokens",
    is_flag=True,
    help="Revoke every token and download link of the backup. [default: they work again]",
)
@data_dir_option
def restore_command(source: Path, *, revoke_tokens: bool, data_dir: Path) -> None:
    """Make a new data directory of a backup, after reading it back."""
    restored = restore(source, data_dir, _revoke_tokens if revoke_tokens else None)
    click.echo(restored.report.text)
    if restored.problems:
        sys.exit(1)
    when = "at a time that it does not tell" if restored.record is None else f"on {restored.record.age_text}"
    advice = "" if revoke_tokens else "; `restore --revoke-tokens` revokes every token"
    click.echo(f"The backup was made {when}. {AS_IT_WAS.format(advice=advice)}", err=True)
    if revoke_tokens:
        click.echo("Every token was revoked: make new ones with `rowkeep token create`.", err=True)


def _revoke_tokens(database: Database) -> None:
    edit_catalog(database, revoke_everything, command_origin())
