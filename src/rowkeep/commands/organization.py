"""`rowkeep organization`: organizations and their members."""

from pathlib import Path

import click

from rowkeep.commands.data_directory import data_dir_option, edit
from rowkeep.model.resources import MemberRole, OwnerKind
from rowkeep.services.accounts import create_organization
from rowkeep.services.datasets import find_owner
from rowkeep.services.organizations import delete_member, set_member
from rowkeep.storage.catalog.catalog import CatalogEditor


@click.group()
def organization() -> None:
    """Organizations."""


@organization.command("create")
@click.argument("name")
@click.option("--admin", required=True, help="The user who administers it.")
@data_dir_option
def organization_create(name: str, admin: str, data_dir: Path) -> None:
    """Create an organization."""
    click.echo(edit(data_dir, lambda editor: create_organization(editor, name, admin)).name)


@organization.command("add-member")
@click.argument("name", metavar="ORGANIZATION")
@click.argument("user_name", metavar="USER")
@click.option(
    "--admin",
    "role",
    flag_value=MemberRole.ADMINISTRATOR.value,
    help="As an administrator. [default: a member]",
)
@data_dir_option
def organization_add_member(name: str, user_name: str, role: str | None, data_dir: Path) -> None:
    """Make a user a member of an organization, or change what they are in it."""

    def add(editor: CatalogEditor) -> None:
        found = find_owner(editor, OwnerKind.ORGANIZATION, name)
        set_member(editor, found, user_name, MemberRole(role or MemberRole.MEMBER))

    edit(data_dir, add)


@organization.command("remove-member")
@click.argument("name", metavar="ORGANIZATION")
@click.argument("user_name", metavar="USER")
@data_dir_option
def organization_remove_member(name: str, user_name: str, data_dir: Path) -> None:
    """End a membership; the next request of the user is answered as a stranger's."""

    def remove(editor: CatalogEditor) -> None:
        delete_member(editor, find_owner(editor, OwnerKind.ORGANIZATION, name), user_name)

    edit(data_dir, remove)
