"""`rowkeep serve`: the server."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from rowkeep.commands.data_directory import fail
from rowkeep.config import Settings, read_settings
from rowkeep.server import StartError, serve


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


@click.command("serve")
@_setting_options
def serve_command(**options: object) -> None:
    """Serve the data directory until SIGTERM."""
    try:
        serve(read_settings(os.environ, **options))
    except StartError as error:
        fail(str(error))
