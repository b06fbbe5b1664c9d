"""Commands that ask a server over the API: which server, with which token, and how they end.

Exit statuses are listed in docs/command-line.md; `rowkeep insert` has the same.
"""

import functools
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import click

from rowkeep.client.api import Api
from rowkeep.client.credentials import Credentials, credentials_path
from rowkeep.client.errors import InsertError, RequestRefused, ServerUnreachable

DEFAULT_URL = "http://127.0.0.1:8080/api/v1"
EXIT_OTHER = 1
EXIT_USAGE = 2
EXIT_ROWS_REFUSED = 3
EXIT_ROWS_LEFT_OUT = 4
EXIT_REQUEST_REFUSED = 5
EXIT_UNREACHABLE = 6
EXIT_INTERRUPTED = 130
UNAUTHORIZED = 401


def stored_credentials() -> Credentials:
    """Returns the tokens that `rowkeep login` has stored for this person."""
    return Credentials(credentials_path(os.environ))


def _default_url() -> str:
    servers = stored_credentials().servers()
    return servers[0].url if servers else DEFAULT_URL


_url_option = click.option(
    "--url",
    envvar=["ROWKEEP_URL", "REDIVIS_API_ENDPOINT"],
    default=None,
    show_envvar=True,
    help=f"Where the API is. [default: the server of the last `rowkeep login`, else {DEFAULT_URL}]",
)
_token_option = click.option(
    "--token",
    envvar=["ROWKEEP_TOKEN", "REDIVIS_API_TOKEN"],
    default=None,
    show_envvar=True,
    help="The token to ask with. [default: the one that `rowkeep login` stored for the server]",
)


def server_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Gives a command `--url` and `--token`. It is called with those of the options, settings or login."""

    @functools.wraps(command)
    def called(*arguments: Any, url: str | None, token: str | None, **given: Any) -> Any:
        found_url = url or _default_url()
        found_token = token or stored_credentials().token(found_url)
        if found_token is None:
            end(
                f"there is no token for {found_url}: run `rowkeep login {found_url}`, or give --token "
                "or ROWKEEP_TOKEN.",
                EXIT_USAGE,
            )
        return command(*arguments, url=found_url, token=found_token, **given)

    return _url_option(_token_option(called))


def remote(command: Callable[..., Any]) -> Callable[..., Any]:
    """Gives a command `--url` and `--token`, and calls it with the server as `api`.

    What goes wrong is one line on stderr and an exit status.
    """

    @server_options
    @functools.wraps(command)
    def called(*arguments: Any, url: str, token: str, **given: Any) -> Any:
        return run_on(url, token, lambda api: command(*arguments, api=api, **given))

    return called


def run_on(url: str, token: str, function: Callable[[Api], Any]) -> Any:
    """Runs a function on a server. If that fails, ends the command with a line on stderr and a status."""
    try:
        api = Api(url, token, tell)
    except ValueError as error:
        end(str(error), EXIT_USAGE)
    try:
        return function(api)
    except InsertError as error:
        end(_words(error), _status_of(error))
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)
    except BrokenPipeError:
        _close_output()
    finally:
        api.close()


def end(message: str, status: int = EXIT_OTHER) -> NoReturn:
    """Ends the command with a line on stderr and an exit status."""
    tell(message)
    sys.exit(status)


def tell(notice: str) -> None:
    """Prints a line on stderr."""
    click.echo(f"rowkeep: {notice}", err=True)


def parsed(parse: Callable[[str], Any], texts: Sequence[str]) -> list[Any]:
    """Returns the parsed arguments. Ends the command as a usage error when the parser refuses one."""
    try:
        return [parse(text) for text in texts]
    except ValueError as error:
        end(str(error), EXIT_USAGE)


def _words(error: InsertError) -> str:
    return " ".join(str(error).split())


def _status_of(error: InsertError) -> int:
    if isinstance(error, RequestRefused):
        return EXIT_REQUEST_REFUSED
    return EXIT_UNREACHABLE if isinstance(error, ServerUnreachable) else EXIT_OTHER


def _close_output() -> NoReturn:
    # Who read has gone (`| head`): nothing is wrong, and Python must not complain of it at its end.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(0)
