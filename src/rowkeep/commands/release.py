"""`rowkeep release`: releases the next version of a dataset, over the API."""

import click

from rowkeep.client.api import Api, Json
from rowkeep.client.places import dataset_place
from rowkeep.commands.remote import parsed, remote


@click.command("release")
@click.argument("dataset", metavar="OWNER.DATASET")
@click.option("--notes", help="The release notes. [default: as they are]")
@click.option(
    "--continue-streams",
    is_flag=True,
    help="Open the next version in the same moment, with the streams of this one. [default: off]",
)
@remote
def release_command(dataset: str, notes: str | None, *, continue_streams: bool, api: Api) -> None:
    """Release the next version of a dataset: it gets a number and never changes again."""
    (place,) = parsed(dataset_place, [dataset])
    said: Json = {"continueStreams": continue_streams, **({} if notes is None else {"releaseNotes": notes})}
    version = api.change("POST", f"{place.dataset_path}/versions/next/release", said)
    click.echo(f"{version['tag']} {version['datasetUri'].rpartition('/')[2]}")
