"""`rowkeep status`: whether the server is there, takes rows, and who you are to it."""

import click

from rowkeep.client.api import Api
from rowkeep.client.connection import NoAnswer
from rowkeep.commands.output import facts_lines, write_json
from rowkeep.commands.remote import EXIT_OTHER, EXIT_UNREACHABLE, end, remote


@click.command("status")
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "json"]),
    default="table",
    show_default=True,
    help="Lines to read, or a JSON object for other programs.",
)
@remote
def status_command(form: str, *, api: Api) -> None:
    """Show whether the server answers and takes rows, the version of its API, and whose token you have.

    The exit status is 0 when it takes rows, 1 when it does not, 6 when it does not answer.
    """
    try:
        ready = api.ping("/readyz")
    except NoAnswer as error:
        end(f"{api.url} does not answer: {error}", EXIT_UNREACHABLE)
    takes_rows = ready.status == 200
    facts = {
        "server": api.url,
        "API version": api.read("/openAPI.json")["info"]["version"],
        "takes rows": takes_rows,
        "you are": api.read("/users/me")["name"],
        "problem": None if takes_rows else ready.body.decode("utf-8", "replace").strip(),
    }
    if form == "json":
        write_json({name.lower().replace(" ", "_"): value for name, value in facts.items()})
    else:
        click.echo("\n".join(facts_lines(facts)))
    if not takes_rows:
        raise SystemExit(EXIT_OTHER)
