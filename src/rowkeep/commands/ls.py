"""`rowkeep ls`: what there is, over the API."""

from collections.abc import Iterator
from urllib.parse import quote

import click

from rowkeep.client.api import Api, Json
from rowkeep.client.places import Place, PlaceKind, parse_place
from rowkeep.commands.output import format_option, moment, write_rows
from rowkeep.commands.remote import EXIT_REQUEST_REFUSED, end, parsed, remote

DATASET_COLUMNS = ("dataset", "access", "tables", "bytes", "updated", "description")
TABLE_COLUMNS = ("table", "rows", "variables", "bytes", "updated", "description")
UPLOAD_COLUMNS = ("upload", "type", "status", "rows", "bad_rows", "created")


@click.command("ls")
@click.argument("reference", metavar="[OWNER[.DATASET[.TABLE]]]", required=False)
@format_option
@remote
def ls_command(reference: str | None, form: str, *, api: Api) -> None:
    """List your datasets, those of an owner, the tables of a dataset, or the uploads of a table."""
    (place,) = parsed(parse_place, [reference or str(api.read("/users/me")["name"])])
    if place.kind is PlaceKind.OWNER:
        write_rows(form, DATASET_COLUMNS, (_dataset_row(one) for one in datasets_of(api, place.owner)))
    elif place.kind is PlaceKind.DATASET:
        write_rows(form, TABLE_COLUMNS, tables_of(api, place))
    else:
        write_rows(form, UPLOAD_COLUMNS, uploads_of(api, place))


def datasets_of(api: Api, owner: str) -> list[Json]:
    """Returns the datasets of a user, or of an organization where no user has the name."""
    name = quote(owner, safe="")
    for kind in ("users", "organizations"):
        if api.find(f"/{kind}/{name}") is not None:
            return list(api.pages(f"/{kind}/{name}/datasets"))
    return end(f"there is no user and no organization {owner}.", EXIT_REQUEST_REFUSED)


def tables_of(api: Api, place: Place) -> Iterator[Json]:
    """Yields the tables of a dataset, as lists show them."""
    for table in api.pages(f"{place.dataset_path}/tables"):
        yield {
            "table": table["name"],
            "rows": table["numRows"],
            "variables": table["variableCount"],
            "bytes": table["numBytes"],
            "updated": moment(table["updatedAt"]),
            "description": table["description"],
        }


def uploads_of(api: Api, place: Place) -> Iterator[Json]:
    """Yields the uploads of a table, as lists show them."""
    for upload in api.pages(f"{place.path}/uploads"):
        yield {
            "upload": upload["name"],
            "type": upload["type"],
            "status": upload["status"],
            "rows": upload["numRows"],
            "bad_rows": upload["badRecordsCount"],
            "created": moment(upload["createdAt"]),
        }


def _dataset_row(dataset: Json) -> Json:
    return {
        "dataset": f"{dataset['owner']['name']}.{dataset['name']}",
        "access": dataset["accessLevel"],
        "tables": dataset["tableCount"],
        "bytes": dataset["numBytes"],
        "updated": moment(dataset["updatedAt"]),
        "description": dataset["description"],
    }
