"""`rowkeep quarantine`: the rows of an upload that did not fit, over the API."""

from collections.abc import Callable
from itertools import islice
from typing import Any
from urllib.parse import quote

import click

from rowkeep.client.api import Api, Json
from rowkeep.client.places import table_place
from rowkeep.commands.output import format_option, moment, plural, write_rows
from rowkeep.commands.remote import EXIT_USAGE, end, parsed, remote

QUARANTINE_COLUMNS = ("id", "row", "time", "variable", "reason", "content")


@click.group("quarantine")
def quarantine() -> None:
    """Look at the rows of an upload that did not fit, try them again, or throw them away."""


def _upload_arguments(command: Callable[..., Any]) -> Callable[..., Any]:
    table = click.argument("table", metavar="OWNER.DATASET.TABLE")
    return table(click.argument("upload")(command))


@quarantine.command("list")
@_upload_arguments
@click.option(
    "--rows",
    "-n",
    "row_count",
    type=click.IntRange(min=1),
    default=100,
    show_default=True,
    help="How many rows at most, oldest first.",
)
@format_option
@remote
def quarantine_list(table: str, upload: str, row_count: int, form: str, *, api: Api) -> None:
    """List the rows that did not fit, oldest first, with the first reason of each."""
    found = islice(api.pages(_path(table, upload), maxResults=min(row_count, 1000)), row_count)
    write_rows(form, QUARANTINE_COLUMNS, (_row(row) for row in found))


@quarantine.command("replay")
@_upload_arguments
@click.option(
    "--update-schema",
    is_flag=True,
    help="Let the rows add variables and widen types. [default: they must fit]",
)
@remote
def quarantine_replay(table: str, upload: str, *, update_schema: bool, api: Api) -> None:
    """Try the rows again; those that fit by now become rows, the others stay."""
    said: Json = {"updateSchema": True} if update_schema else {}
    done = api.change("POST", f"{_path(table, upload)}/replay", said)
    click.echo(f"{plural(done['rowsAdded'], 'row')} inserted, {done['rowsRemaining']:,} remain")


@quarantine.command("empty")
@_upload_arguments
@click.option("--yes", "-y", "is_sure", is_flag=True, help="Throw them away without asking. [default: ask]")
@remote
def quarantine_empty(table: str, upload: str, *, is_sure: bool, api: Api) -> None:
    """Throw the rows away, for good."""
    path = _path(table, upload)
    if not is_sure and not click.confirm(f"Throw away the rows in the quarantine of {upload}?", err=True):
        end("nothing was thrown away.", EXIT_USAGE)
    api.change("DELETE", path)
    click.echo(f"the quarantine of {upload} is empty")


def _path(table: str, upload: str) -> str:
    (place,) = parsed(table_place, [table])
    return f"{place.path}/uploads/{quote(upload, safe='')}/quarantine"


def _row(row: Json) -> Json:
    first: Json = row["reasons"][0] if row["reasons"] else {}
    return {
        "id": row["id"],
        "row": row["row"],
        "time": moment(row["quarantinedAt"]),
        "variable": first.get("variable"),
        "reason": first.get("message"),
        "content": row["content"],
    }
