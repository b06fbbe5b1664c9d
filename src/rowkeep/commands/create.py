"""`rowkeep create`: a dataset, a table or a stream, over the API."""

import click

from rowkeep.client.api import Api, Json
from rowkeep.client.places import Place, PlaceKind, parse_place
from rowkeep.commands.remote import EXIT_USAGE, end, parsed, remote

TYPES = ("string", "integer", "float", "boolean", "date", "dateTime", "time", "geography")


@click.command("create")
@click.argument("reference", metavar="OWNER.DATASET[.TABLE]")
@click.argument("stream", required=False)
@click.option("--description", help="What it holds, in a sentence. [default: none]")
@click.option(
    "--variable",
    "variables",
    multiple=True,
    metavar="NAME=TYPE",
    help=f"A variable of the stream, with its type: {', '.join(TYPES)}; repeatable. "
    "[default: found in the rows that come]",
)
@click.option(
    "--public",
    type=click.Choice(["none", "overview", "metadata", "sample", "data"]),
    default="none",
    show_default=True,
    help="What everybody may see of a new dataset.",
)
@remote
def create_command(
    reference: str,
    stream: str | None,
    description: str | None,
    variables: tuple[str, ...],
    public: str,
    *,
    api: Api,
) -> None:
    """Create a dataset, a table in it, or a STREAM in a table, which rows are inserted into.

    The dataset and the table that a table or a stream needs are made too where they are missing.
    """
    (place,) = parsed(parse_place, [reference])
    if place.kind is PlaceKind.OWNER or (stream is not None and place.kind is not PlaceKind.TABLE):
        end("write OWNER.DATASET, OWNER.DATASET.TABLE, or OWNER.DATASET.TABLE STREAM.", EXIT_USAGE)
    if stream is None and variables:
        end("--variable goes with a STREAM: a table has the variables of its uploads.", EXIT_USAGE)
    schema = [_variable(text) for text in variables]
    is_dataset = place.kind is PlaceKind.DATASET
    if is_dataset or api.find(place.dataset_path) is None:
        _create_dataset(api, place, public, description if is_dataset else None)
    if is_dataset:
        return
    if stream is None or api.find(place.path) is None:
        _create_table(api, place, description if stream is None else None)
    if stream is not None:
        _create_stream(api, place, stream, schema)


def _create_dataset(api: Api, place: Place, public: str, description: str | None) -> None:
    kind = "organizations" if api.find(f"/users/{place.owner}") is None else "users"
    said: Json = {"name": place.dataset, "publicAccessLevel": public, "description": description}
    made = api.change("POST", f"/{kind}/{place.owner}/datasets", _known(said))
    click.echo(f"created the dataset {place.owner}.{made['name']}")


def _create_table(api: Api, place: Place, description: str | None) -> None:
    said: Json = {"name": place.table, "description": description}
    api.change("POST", f"{place.dataset_path}/tables", _known(said))
    click.echo(f"created the table {place.reference}")


def _create_stream(api: Api, place: Place, stream: str, schema: list[Json]) -> None:
    said: Json = {"name": stream, "type": "stream", "schema": schema or None}
    made = api.change("POST", f"{place.path}/uploads", _known(said))
    click.echo(f"created the stream {made['name']} in {place.reference}")


def _known(said: Json) -> Json:
    return {name: value for name, value in said.items() if value is not None}


def _variable(text: str) -> Json:
    name, _, type_ = text.rpartition("=")
    if not name or type_ not in TYPES:
        end(f"--variable {text} is not NAME=TYPE, with a type of {', '.join(TYPES)}.", EXIT_USAGE)
    return {"name": name, "type": type_}
