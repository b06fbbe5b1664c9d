"""`rowkeep access`: who may do what with a dataset besides its owner."""

from pathlib import Path

import click

from rowkeep.commands.data_directory import data_dir_option, edit, read
from rowkeep.services.grants import all_grants, delete_grant, named_dataset, set_grant

_dataset_argument = click.argument("reference", metavar="OWNER.DATASET")
_grantee_argument = click.argument("grantee")


@click.group()
def access() -> None:
    """Who may do what with a dataset besides its owner."""


@access.command("grant")
@_dataset_argument
@_grantee_argument
@click.argument("level")
@data_dir_option
def access_grant(reference: str, grantee: str, level: str, data_dir: Path) -> None:
    """Grant a user, or everyone in an organization, the LEVEL overview, metadata, sample, data or edit."""
    edit(data_dir, lambda editor: set_grant(editor, named_dataset(editor, reference), grantee, level))


@access.command("revoke")
@_dataset_argument
@_grantee_argument
@data_dir_option
def access_revoke(reference: str, grantee: str, data_dir: Path) -> None:
    """Take a grant back; the next request of the grantee is refused."""
    edit(data_dir, lambda editor: delete_grant(editor, named_dataset(editor, reference), grantee))


@access.command("list")
@_dataset_argument
@data_dir_option
def access_list(reference: str, data_dir: Path) -> None:
    """List who was granted what on a dataset."""
    grants = read(data_dir, lambda view: list(all_grants(view, named_dataset(view, reference))))
    click.echo(f"{'GRANTEE':<20} {'KIND':<12} LEVEL")
    for grant in grants:
        click.echo(f"{grant.grantee_name:<20} {grant.grantee_kind:<12} {grant.access_level.wire_name}")
