"""`rowkeep verify`: reads everything back."""

import sys
from pathlib import Path

import click

from rowkeep.commands.data_directory import data_dir_option, existing_directory
from rowkeep.storage.opening import open_database
from rowkeep.storage.verification import verify


@click.command("verify")
@data_dir_option
def verify_command(data_dir: Path) -> None:
    """Read everything back; exit status 1 and a list when something is not as it was written."""
    directory = existing_directory(data_dir)
    database = open_database(directory)
    try:
        report = verify(database, directory)
    finally:
        database.close()
    click.echo(report.text)
    if report.problems:
        sys.exit(1)
