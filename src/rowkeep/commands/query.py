"""`rowkeep query`: SQL over the tables that you may see, over the API."""

import sys
import time
from pathlib import Path

import click

from rowkeep.client.api import Api, Json
from rowkeep.commands.head import write_found
from rowkeep.commands.output import format_option
from rowkeep.commands.remote import EXIT_REQUEST_REFUSED, end, remote

HOLD_MS = 60_000
POLL_SECONDS = 0.2
OPEN = ("queued", "running")
COMPLETED = "completed"


@click.command("query")
@click.argument("sql", required=False)
@click.option(
    "--file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Read the query from a file. [default: SQL, else the standard input]",
)
@click.option(
    "--dataset", metavar="OWNER.DATASET", help="Where bare names of tables are looked for. [default: nowhere]"
)
@click.option(
    "--dialect",
    type=click.Choice(["bigquery", "duckdb"]),
    default="bigquery",
    show_default=True,
    help="The dialect of the query. BigQuery's names tables in backticks.",
)
@click.option(
    "--rows",
    "-n",
    "row_count",
    type=click.IntRange(min=0),
    default=None,
    help="How many rows at most. [default: 100 in a table, all as JSON and CSV]",
)
@format_option
@remote
def query_command(
    sql: str | None,
    file: Path | None,
    dataset: str | None,
    dialect: str,
    row_count: int | None,
    form: str,
    *,
    api: Api,
) -> None:
    """Run a query and print its result. The query comes as SQL, from --file, or from the standard input.

    \b
    rowkeep query 'SELECT site, avg(temperature) FROM `demo.weather.measurements` GROUP BY site'
    """
    asked: Json = {"query": _text(sql, file), "dialect": dialect, "timeoutMs": HOLD_MS}
    if dataset is not None:
        asked["defaultDataset"] = dataset
    done = _wait(api, api.change("POST", "/queries", asked))
    if done["status"] != COMPLETED:
        end(
            " ".join(str(done["errorMessage"] or f"The query is {done['status']}.").split()),
            EXIT_REQUEST_REFUSED,
        )
    shown = 100 if row_count is None and form == "table" else row_count
    write_found(api, f"/queries/{done['id']}", form, {"maxResults": shown})
    found = done["outputNumRows"]
    if form == "table" and shown is not None and found > shown:
        click.echo(f"({shown:,} of {found:,} rows; --rows shows more)", err=True)


def _wait(api: Api, query: Json) -> Json:
    try:
        while query["status"] in OPEN:
            time.sleep(POLL_SECONDS)
            query = api.read(f"/queries/{query['id']}")
    except KeyboardInterrupt:
        api.change("POST", f"/queries/{query['id']}/cancel")
        raise
    return query


def _text(sql: str | None, file: Path | None) -> str:
    if sql is not None and file is not None:
        raise click.UsageError("The query comes as SQL or from --file, not both.")
    if file is not None:
        return file.read_text(encoding="utf-8")
    if sql in (None, "-") and not sys.stdin.isatty():
        return sys.stdin.read()
    if sql is None:
        raise click.UsageError("There is no query: give it as SQL, with --file, or to the standard input.")
    return sql
