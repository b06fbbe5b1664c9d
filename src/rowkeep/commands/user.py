"""`rowkeep user`: users."""

from pathlib import Path

import click

from rowkeep.commands.data_directory import data_dir_option, edit_or_make
from rowkeep.services.accounts import create_user


@click.group()
def user() -> None:
    """Users."""


@user.command("create")
@click.argument("name")
@data_dir_option
def user_create(name: str, data_dir: Path) -> None:
    """Create a user. The first one makes the data directory."""
    click.echo(edit_or_make(data_dir, lambda editor: create_user(editor, name)).name)
