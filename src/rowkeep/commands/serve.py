"""`rowkeep serve`: the server."""

import os
import re
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import click

from rowkeep.commands.data_directory import fail
from rowkeep.config import Settings, read_settings
from rowkeep.server import StartError, configure_log, refusals_logged, serve

_link = re.compile(r"\[([^\]]+)\]\([^)]+\)").sub


def setting_meanings() -> dict[str, str]:
    """Returns what each setting does, by its name in `Settings`. docs/settings.md shows the same texts."""
    lines = files("rowkeep").joinpath("settings.txt").read_text(encoding="utf-8").splitlines()
    pairs = (line.partition(": ") for line in lines)
    return {option.replace("-", "_"): meaning for option, _, meaning in pairs}


def _setting_options(command: Callable[..., Any]) -> Callable[..., Any]:
    defaults, meanings = Settings(), setting_meanings()
    for name in reversed(Settings.__struct_fields__):
        default = getattr(defaults, name)
        shown = "none" if default == "" else default
        command = click.option(
            f"--{name.replace('_', '-')}",
            name,
            type=str if isinstance(default, Path) else type(default),
            default=None,
            help=f"{_plain(meanings.get(name, ''))}  [default: {shown}; env var: ROWKEEP_{name.upper()}]",
        )(command)
    return command


def _plain(markdown: str) -> str:
    """Returns a text without the marks of Markdown."""
    return _link(r"\1", markdown).replace("`", "")


@click.command("serve")
@_setting_options
def serve_command(**options: object) -> None:
    """Serve the data directory until SIGTERM."""
    configure_log(Settings().log_level)
    try:
        with refusals_logged():
            settings = read_settings(os.environ, **options)
        serve(settings)
    except (StartError, ValueError) as error:
        fail(str(error))
