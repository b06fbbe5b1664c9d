"""`rowkeep release`: releases the next version of a dataset, over the API."""

import sys
from typing import NoReturn
from urllib.parse import quote

import click
import msgspec

from rowkeep.client.connection import Answer, Connection, NoAnswer, parse_address
from rowkeep.commands.insert import DEFAULT_URL

TIMEOUT_SECONDS = 120.0


class _Version(msgspec.Struct):
    tag: str
    datasetUri: str  # noqa: N815  # as on the wire


class _Refusal(msgspec.Struct):
    error_description: str


@click.command("release")
@click.argument("dataset", metavar="OWNER.DATASET")
@click.option("--notes", help="The release notes.")
@click.option(
    "--continue-streams",
    is_flag=True,
    help="Open the next version in the same moment, with the streams of this one.",
)
@click.option("--url", envvar="ROWKEEP_URL", default=DEFAULT_URL, show_default=True, show_envvar=True)
@click.option(
    "--token",
    envvar=["ROWKEEP_TOKEN", "REDIVIS_API_TOKEN"],
    required=True,
    show_envvar=True,
    help="With the scope data.edit.",
)
def release_command(dataset: str, notes: str | None, *, continue_streams: bool, url: str, token: str) -> None:
    """Release the next version of a dataset: it gets a number and never changes again."""
    said = {"continueStreams": continue_streams, **({} if notes is None else {"releaseNotes": notes})}
    path = f"/datasets/{quote(dataset, safe='')}/versions/next/release"
    connection = Connection(parse_address(url), token, TIMEOUT_SECONDS)
    try:
        answer = connection.ask("POST", path, msgspec.json.encode(said))
    except NoAnswer as error:
        _fail(f"no answer from {url} ({error}). It may be released or not: look before you try again.")
    finally:
        connection.close()
    if answer.status != 200:
        _fail(_refusal(answer))
    version = msgspec.json.decode(answer.body, type=_Version)
    click.echo(f"{version.tag} {version.datasetUri.rpartition('/')[2]}")


def _fail(message: str) -> NoReturn:
    click.echo(f"rowkeep: {message}", err=True)
    sys.exit(1)


def _refusal(answer: Answer) -> str:
    try:
        return msgspec.json.decode(answer.body, type=_Refusal).error_description
    except msgspec.DecodeError:
        shown = answer.body[:200].decode("utf-8", "replace")
        return f"{answer.status}, and this is not a rowkeep server's answer: {shown!r}"
