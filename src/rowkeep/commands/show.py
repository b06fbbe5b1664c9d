"""`rowkeep show`: one dataset or table with what belongs to it, over the API."""

from collections.abc import Callable, Iterable

import click

from rowkeep.client.api import Api, Json
from rowkeep.client.errors import RequestRefused
from rowkeep.client.places import Place, PlaceKind, parse_place
from rowkeep.commands.ls import TABLE_COLUMNS, UPLOAD_COLUMNS, tables_of, uploads_of
from rowkeep.commands.output import (
    Row,
    facts_lines,
    format_option,
    moment,
    size,
    table_lines,
    write_json,
    write_rows,
)
from rowkeep.commands.remote import parsed, remote

VARIABLE_COLUMNS = ("variable", "type", "label")
VERSION_COLUMNS = ("version", "released", "label")
NOT_SHOWN = (403, 404)
VARIABLES_PER_PAGE = 10_000


@click.command("show")
@click.argument("reference", metavar="OWNER.DATASET[.TABLE]")
@format_option
@remote
def show_command(reference: str, form: str, *, api: Api) -> None:
    """Show a dataset with its versions and tables, or a table with its variables and uploads.

    OWNER.DATASET:v1.0 and OWNER.DATASET:v1.0.TABLE name what is in a released version. As CSV only the
    tables or the variables are printed. Uploads are shown to those who may edit the dataset.
    """
    (place,) = parsed(parse_place, [reference])
    if place.kind is PlaceKind.OWNER:
        raise click.UsageError(f"{reference!r} is an owner: `rowkeep ls {reference}` lists its datasets.")
    if place.kind is PlaceKind.TABLE:
        _show_table(api, place, form)
    else:
        _show_dataset(api, place, form)


def variables_of(api: Api, path: str) -> list[Json]:
    """Returns the variables of a table, an upload or a result, as lists show them."""
    return [
        {
            "variable": variable["name"],
            "type": variable["type"],
            "label": variable.get("label"),
        }
        for variable in api.pages(f"{path}/variables", maxResults=VARIABLES_PER_PAGE)
    ]


def _show_table(api: Api, place: Place, form: str) -> None:
    table, variables = api.read(place.path), variables_of(api, place.path)
    if form == "csv":
        write_rows(form, VARIABLE_COLUMNS, variables)
        return
    uploads = _if_shown(lambda: list(uploads_of(api, place)))
    if form == "json":
        write_json({**table, "variables": variables, "uploads": uploads})
        return
    facts = {
        "table": place.reference,
        "description": table["description"],
        "rows": f"{table['numRows']:,}",
        "size": size(table["numBytes"]),
        "access": table["accessLevel"],
        "updated": moment(table["updatedAt"]),
    }
    _print(facts, (VARIABLE_COLUMNS, variables), (UPLOAD_COLUMNS, uploads))


def _show_dataset(api: Api, place: Place, form: str) -> None:
    dataset, tables = api.read(place.path), list(tables_of(api, place))
    if form == "csv":
        write_rows(form, TABLE_COLUMNS, tables)
        return
    versions = [_version_row(version) for version in api.pages(f"{place.path}/versions")]
    if form == "json":
        write_json({**dataset, "versions": versions, "tables": tables})
        return
    facts = {
        "dataset": f"{dataset['owner']['name']}.{dataset['name']}",
        "version": dataset["version"]["tag"],
        "description": dataset["description"],
        "size": size(dataset["numBytes"]),
        "access": dataset["accessLevel"],
        "for all": dataset["publicAccessLevel"],
        "updated": moment(dataset["updatedAt"]),
    }
    _print(facts, (VERSION_COLUMNS, versions), (TABLE_COLUMNS, tables))


def _version_row(version: Json) -> Json:
    return {
        "version": version["tag"],
        "released": moment(version["releasedAt"]) if version["isReleased"] else "not yet",
        "label": version["label"],
    }


def _if_shown(list_them: Callable[[], list[Json]]) -> list[Json]:
    try:
        return list_them()
    except RequestRefused as error:
        if error.status not in NOT_SHOWN:
            raise
        return []


def _print(facts: Row, *tables: tuple[tuple[str, ...], Iterable[Row]]) -> None:
    lines = facts_lines(facts)
    for columns, rows in tables:
        held = list(rows)
        if held:
            lines += ["", *table_lines(columns, held)]
    click.echo("\n".join(lines))
