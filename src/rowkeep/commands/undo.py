"""`rowkeep undo`: takes the rows of one request back, over the API; without a key it lists the requests."""

from itertools import islice
from urllib.parse import quote

import click

from rowkeep.client.api import Api, Json
from rowkeep.client.places import table_place
from rowkeep.commands.output import format_option, moment, plural, write_rows
from rowkeep.commands.remote import parsed, remote

REQUEST_COLUMNS = ("time", "state", "rows", "first_row", "key", "problem")


@click.command("undo")
@click.argument("table", metavar="OWNER.DATASET.TABLE")
@click.argument("upload")
@click.argument("key", required=False)
@click.option(
    "--rows",
    "-n",
    "row_count",
    type=click.IntRange(min=1),
    default=20,
    show_default=True,
    help="How many requests are listed at most, newest first.",
)
@format_option
@remote
def undo_command(table: str, upload: str, key: str | None, row_count: int, form: str, *, api: Api) -> None:
    """Remove the rows of the request with a KEY from an upload that is not released.

    Without a KEY it lists the latest requests that had an Idempotency-Key, such as those of `rowkeep
    insert`, and changes nothing.
    """
    (place,) = parsed(table_place, [table])
    requests = f"{place.path}/uploads/{quote(upload, safe='')}/requests"
    if key is None:
        found = islice(api.pages(requests, maxResults=min(row_count, 1000)), row_count)
        write_rows(form, REQUEST_COLUMNS, (_request_row(request) for request in found))
        return
    undone = api.change("DELETE", f"{requests}/{quote(key, safe='')}")
    click.echo(f"removed {plural(undone['rowsAdded'], 'row')} of the request {key}")


def _request_row(request: Json) -> Json:
    return {
        "time": moment(request["time"]),
        "state": request["state"],
        "rows": request.get("rowsAdded"),
        "first_row": request.get("firstRow"),
        "key": request["key"],
        "problem": request.get("error_description"),
    }
