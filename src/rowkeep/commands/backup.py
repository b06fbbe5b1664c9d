"""`rowkeep backup` and `rowkeep restore`."""

import sys
from pathlib import Path

import click

from rowkeep.commands.data_directory import data_dir_option, existing_directory
from rowkeep.storage.backup import back_up, restore


@click.command("backup")
@click.argument("destination", type=click.Path(path_type=Path))
@data_dir_option
def backup_command(destination: Path, data_dir: Path) -> None:
    """Copy everything to a new folder, also while the server runs."""
    back_up(existing_directory(data_dir), destination)
    click.echo(destination)


@click.command("restore")
@click.argument("source", type=click.Path(exists=True, file_okay=False, path_type=Path))
@data_dir_option
def restore_command(source: Path, data_dir: Path) -> None:
    """Make a new data directory of a backup, after reading it back."""
    report = restore(source, data_dir)
    click.echo(report.text)
    if report.problems:
        sys.exit(1)
