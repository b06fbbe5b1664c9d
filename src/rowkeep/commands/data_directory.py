"""The data directory as commands open it: the option that names it, reading and editing its catalog."""

import getpass
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn, TypeVar

import click

from rowkeep.config import Settings
from rowkeep.model.audit import Origin
from rowkeep.storage.catalog.catalog import CatalogEditor, CatalogView
from rowkeep.storage.doors import edit_catalog, read_snapshot
from rowkeep.storage.local_files import DataDirectory
from rowkeep.storage.marker import check_directory
from rowkeep.storage.opening import open_database

Result = TypeVar("Result")

data_dir_option = click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    default=Settings().data_dir,
    envvar="ROWKEEP_DATA_DIR",
    show_default=True,
    show_envvar=True,
    help="The directory that keeps everything.",
)


def fail(message: str) -> NoReturn:
    """Ends the command with one line on stderr and exit status 1."""
    click.echo(f"rowkeep: {message}", err=True)
    sys.exit(1)


def existing_directory(data_dir: Path) -> DataDirectory:
    """Returns a data directory that has data. Ends the command when there is no data."""
    if not data_dir.exists() or not any(data_dir.iterdir()):
        fail(f"there is no data in {data_dir}; is --data-dir right?")
    check_directory(data_dir)
    if not (data_dir / "rowkeep.db").exists():
        fail(f"there is no data in {data_dir}; is --data-dir right?")
    return DataDirectory(data_dir)


def edit(data_dir: Path, function: Callable[[CatalogEditor], Result]) -> Result:
    """Runs a function in one durable transaction on the catalog of a data directory. Returns its result."""
    return _edit_in(existing_directory(data_dir), function)


def edit_or_make(data_dir: Path, function: Callable[[CatalogEditor], Result]) -> Result:
    """Runs a function as `edit` does. Makes the data directory first if it is missing."""
    check_directory(data_dir)
    return _edit_in(DataDirectory(data_dir), function)


def _edit_in(directory: DataDirectory, function: Callable[[CatalogEditor], Result]) -> Result:
    database = open_database(directory)
    try:
        return edit_catalog(database, function, command_origin())
    finally:
        database.close()


def command_origin() -> Origin:
    """Returns the origin of an edit by a command, for the audit log: who runs it on this machine."""
    return Origin(system_user=_system_user())


def _system_user() -> str:
    """Returns the machine's name for the person who runs this command."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # no name in the environment, nor for the number
        return str(os.getuid())


def read(data_dir: Path, function: Callable[[CatalogView], Result]) -> Result:
    """Runs a function on one snapshot of the catalog of a data directory. Returns its result."""
    database = open_database(existing_directory(data_dir))
    try:
        return read_snapshot(database, function)
    finally:
        database.close()
