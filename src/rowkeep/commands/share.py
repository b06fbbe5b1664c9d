"""`rowkeep share`: who may do what with a dataset besides its owner, over the API.

`rowkeep access` does the same on the server's machine, in its data directory.
"""

from urllib.parse import quote

import click

from rowkeep.client.api import Api
from rowkeep.client.places import dataset_place
from rowkeep.commands.output import format_option, write_rows
from rowkeep.commands.remote import parsed, remote

LEVELS = ("overview", "metadata", "sample", "data", "edit")
GRANT_COLUMNS = ("grantee", "kind", "level")
_dataset_argument = click.argument("dataset", metavar="OWNER.DATASET")
_grantee_argument = click.argument("grantee")


@click.group("share")
def share() -> None:
    """Say who may do what with a dataset besides its owner, over the API."""


@share.command("list")
@_dataset_argument
@format_option
@remote
def share_list(dataset: str, form: str, *, api: Api) -> None:
    """List who was granted what on a dataset."""
    rows = (
        {
            "grantee": grant["grantee"]["name"],
            "kind": grant["grantee"]["kind"],
            "level": grant["accessLevel"],
        }
        for grant in api.pages(_path(dataset))
    )
    write_rows(form, GRANT_COLUMNS, rows)


@share.command("grant")
@_dataset_argument
@_grantee_argument
@click.argument("level", type=click.Choice(LEVELS))
@remote
def share_grant(dataset: str, grantee: str, level: str, *, api: Api) -> None:
    """Grant a user, or everyone in an organization, a level of access."""
    api.change("PUT", f"{_path(dataset)}/{quote(grantee, safe='')}", {"accessLevel": level})
    click.echo(f"{grantee} may {level} {dataset}")


@share.command("revoke")
@_dataset_argument
@_grantee_argument
@remote
def share_revoke(dataset: str, grantee: str, *, api: Api) -> None:
    """Take a grant back; the next request of the grantee is refused."""
    api.change("DELETE", f"{_path(dataset)}/{quote(grantee, safe='')}")
    click.echo(f"{grantee} has no grant on {dataset} any more")


def _path(dataset: str) -> str:
    (place,) = parsed(dataset_place, [dataset])
    return f"{place.dataset_path}/access"
