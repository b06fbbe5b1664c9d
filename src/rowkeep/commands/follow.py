"""`rowkeep follow`: the rows of a table as they are committed, over the API."""

import json
import threading
from collections.abc import Iterator
from urllib.parse import quote

import click

from rowkeep.client.api import Api, Json
from rowkeep.client.errors import ServerUnreachable
from rowkeep.client.patience import Patience, RetryPolicy
from rowkeep.client.places import table_place
from rowkeep.commands.remote import EXIT_REQUEST_REFUSED, end, parsed, remote, tell

POSITION, END = "@position", "@end"
RESUMED = ("stopping", "slow")
PATIENCE = RetryPolicy(seconds_max=300.0)


@click.command("follow")
@click.argument("table", metavar="OWNER.DATASET.TABLE")
@click.argument("upload", required=False)
@click.option(
    "--tail",
    default="0",
    show_default=True,
    metavar="ROWS",
    help="How many of the last rows come first, or all.",
)
@click.option(
    "--rows",
    "-n",
    "row_count",
    type=click.IntRange(min=1),
    default=None,
    help="End after so many rows. [default: when you press Ctrl-C]",
)
@click.option("--columns", metavar="NAMES", help="Variables with commas between. [default: all]")
@remote
def follow_command(
    table: str, upload: str | None, tail: str, row_count: int | None, columns: str | None, *, api: Api
) -> None:
    """Print the rows of a table, or of one UPLOAD in it, when they are committed: JSON, a row a line.

    When the connection breaks or the server restarts it goes on behind the last row that was printed.
    """
    (place,) = parsed(table_place, [table])
    path = place.path if upload is None else f"{place.path}/uploads/{quote(upload, safe='')}"
    asked = {"follow": "true", "format": "jsonl", "selectedVariables": columns}
    for count, row in enumerate(_rows(api, f"{path}/rows", asked, tail), 1):
        click.echo(json.dumps(row, ensure_ascii=False))
        if count == row_count:
            return


def _rows(api: Api, path: str, asked: Json, tail: str) -> Iterator[Json]:
    """Yields rows without an end, over as many connections as it takes."""
    place: Json = {"tail": tail}
    patience = _patience()
    while True:
        try:
            for line in api.lines(path, **asked, **place):
                if POSITION in line:
                    place, patience = {"from": line[POSITION]}, _patience()
                    _check_end(line.get(END))
                else:
                    yield line
        except ServerUnreachable as error:
            patience.wait(str(error))


def _check_end(ended: Json | None) -> None:
    if ended is not None and ended["reason"] not in RESUMED:
        problem = (ended.get("error") or {}).get("error_description", ended["reason"])
        end(f"the server ends it: {problem}", EXIT_REQUEST_REFUSED)


def _patience() -> Patience:
    return Patience(PATIENCE, threading.Event(), tell)
