"""`rowkeep token`: API tokens."""

from datetime import UTC, datetime
from pathlib import Path

import click

from rowkeep.commands.data_directory import data_dir_option, edit, read
from rowkeep.model.resources import Token
from rowkeep.services.accounts import create_token, revoke_links, revoke_token


@click.group()
def token() -> None:
    """API tokens."""


@token.command("create")
@click.option("--user", "user_name", required=True, help="Whose token it is.")
@click.option("--scope", "scopes", multiple=True, help="May be given several times. [default: data.edit ...]")
@click.option("--expires", help="Such as 30d, 12h or 45m; never by default.")
@data_dir_option
def token_create(user_name: str, scopes: tuple[str, ...], expires: str | None, data_dir: Path) -> None:
    """Create a token and print it, the only time it is shown."""
    click.echo(edit(data_dir, lambda editor: create_token(editor, user_name, scopes, expires)))


@token.command("list")
@data_dir_option
def token_list(data_dir: Path) -> None:
    """List the tokens, without the tokens themselves."""
    tokens = read(data_dir, lambda view: view.tokens.all())
    click.echo(f"{'ID':>6}  {'USER':<20} {'CREATED':<20} {'EXPIRES':<20} {'STATE':<8} SCOPES")
    for item in tokens:
        click.echo(_token_line(item))


@token.command("revoke")
@click.argument("token_id", metavar="ID", type=int)
@data_dir_option
def token_revoke(token_id: int, data_dir: Path) -> None:
    """Revoke a token; the next request with it is refused."""
    edit(data_dir, lambda editor: revoke_token(editor, token_id))


@token.command("revoke-links")
@data_dir_option
def token_revoke_links(data_dir: Path) -> None:
    """End every download link of the server at once."""
    edit(data_dir, revoke_links)


def _token_line(item: Token) -> str:
    state = "revoked" if item.revoked_at else "valid"
    expires = _time_text(item.expires_at) if item.expires_at else "never"
    return (
        f"{item.id:>6}  {item.user_name:<20} {_time_text(item.created_at):<20} {expires:<20} "
        f"{state:<8} {item.scopes}"
    )


def _time_text(epoch_ms: int) -> str:
    return datetime.fromtimestamp(epoch_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
