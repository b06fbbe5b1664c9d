"""`rowkeep head`: the first rows of a table, over the API."""

from collections.abc import Mapping

import click

from rowkeep.client.api import Api
from rowkeep.client.places import table_place
from rowkeep.commands.output import format_option, write_bytes, write_rows
from rowkeep.commands.remote import parsed, remote


@click.command("head")
@click.argument("table", metavar="OWNER.DATASET.TABLE")
@click.option(
    "--rows",
    "-n",
    "row_count",
    type=click.IntRange(min=0),
    default=10,
    show_default=True,
    help="How many rows at most.",
)
@click.option("--columns", metavar="NAMES", help="Variables with commas between. [default: all]")
@click.option("--where", help='Only rows for which this holds, such as "age >= 18". [default: all]')
@click.option("--order-by", help='Sort by variables, such as "age desc". [default: as they were committed]')
@format_option
@remote
def head_command(
    table: str,
    row_count: int,
    columns: str | None,
    where: str | None,
    order_by: str | None,
    form: str,
    *,
    api: Api,
) -> None:
    """Show the first rows of a table."""
    (place,) = parsed(table_place, [table])
    asked = {
        "maxResults": row_count,
        "selectedVariables": columns,
        "where": where,
        "orderBy": order_by,
    }
    write_found(api, f"{place.path}", form, asked)


def write_found(api: Api, path: str, form: str, asked: Mapping[str, object]) -> None:
    """Prints the rows of a table or a result; CSV comes from the server as it is."""
    if form == "csv":
        write_bytes(api.chunks(f"{path}/rows", format="csv", **asked))
        return
    rows = api.lines(f"{path}/rows", format="jsonl", **asked)
    if form == "json":
        write_rows(form, (), rows)
        return
    held = list(rows)
    write_rows(form, list(held[0]) if held else _names(api, path), held)


def _names(api: Api, path: str) -> list[str]:
    return [str(variable["name"]) for variable in api.pages(f"{path}/variables", maxResults=10_000)]
