"""`rowkeep login` and `rowkeep logout`: which server commands ask, and with which token."""

import sys

import click

from rowkeep.client.api import Api
from rowkeep.client.connection import parse_address, whole_url
from rowkeep.commands.remote import end, parsed, run_on, stored_credentials


@click.command("login")
@click.argument("url")
@click.option(
    "--token-stdin",
    is_flag=True,
    help="Read the token from the standard input, for scripts. [default: ask for it on the terminal]",
)
def login_command(url: str, *, token_stdin: bool) -> None:
    """Sign in to the server at URL, such as http://127.0.0.1:8080.

    The token is tried first, and then stored in a file that only you can read: $ROWKEEP_CREDENTIALS, or
    ~/.config/rowkeep/credentials.json. Commands use it from then on, unless an option or the environment
    names another.
    """
    address = _api_url(url)
    token = sys.stdin.read() if token_stdin else click.prompt("Token", hide_input=True, err=True)
    token = token.strip()
    if not token or not token.isascii() or not token.isprintable():
        end("that is no token: `rowkeep token create` on the server's machine prints one.")
    name = run_on(address, token, _user_name)
    credentials = stored_credentials()
    credentials.add(address, token)
    click.echo(f"You are {name} at {address}. The token is stored in {credentials.path}.")


@click.command("logout")
@click.argument("url")
def logout_command(url: str) -> None:
    """Forget the token that is stored for the server at URL; it stays good until it is revoked."""
    address = _api_url(url)
    if not stored_credentials().remove(address):
        end(f"no token is stored for {address}.")
    click.echo(f"The token for {address} is forgotten.")


def _user_name(api: Api) -> str:
    return str(api.read("/users/me")["name"])


def _api_url(url: str) -> str:
    """Returns the URL of a server's API. The server's URL may be that of its root."""
    parsed(parse_address, [url])
    return whole_url(url)
