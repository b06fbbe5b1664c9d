"""`rowkeep describe`: what is said of a dataset, a table and its variables, over the API."""

import csv
from collections.abc import Sequence
from pathlib import Path

import click

from rowkeep.client.api import Api, Json
from rowkeep.client.places import PlaceKind, parse_place
from rowkeep.commands.output import plural
from rowkeep.commands.remote import EXIT_USAGE, end, parsed, remote

COLUMNS = ("variable", "label", "description")


@click.command("describe")
@click.argument("reference", metavar="OWNER.DATASET[.TABLE]")
@click.option("--description", help="What it holds. [default: as it is]")
@click.option(
    "--label",
    "labels",
    multiple=True,
    metavar="VARIABLE=TEXT",
    help="The label of a variable of the table; repeatable. [default: as it is]",
)
@click.option(
    "--codebook",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A CSV file with the columns variable, label and description. [default: none]",
)
@remote
def describe_command(
    reference: str,
    description: str | None,
    labels: tuple[str, ...],
    codebook: Path | None,
    *,
    api: Api,
) -> None:
    """Describe a dataset, a table or the variables of a table; what is not named stays as it is."""
    (place,) = parsed(parse_place, [reference])
    if place.kind is PlaceKind.OWNER:
        end("write OWNER.DATASET or OWNER.DATASET.TABLE.", EXIT_USAGE)
    said = [*_of_codebook(codebook), *_of_labels(labels)]
    if description is None and not said:
        end("say what: --description, --label or --codebook.", EXIT_USAGE)
    if said and place.kind is not PlaceKind.TABLE:
        end("--label and --codebook describe the variables of a table.", EXIT_USAGE)
    if description is not None:
        api.change("PATCH", place.path, {"description": description})
        click.echo(f"described {reference}")
    if said:
        api.change("PATCH", f"{place.path}/variables", {"variables": said})
        click.echo(f"described {plural(len({one['name'] for one in said}), 'variable')} of {reference}")


def _of_labels(labels: Sequence[str]) -> list[Json]:
    said: list[Json] = []
    for text in labels:
        name, equals, label = text.partition("=")
        if not name or not equals:
            end(f"--label {text} is not VARIABLE=TEXT.", EXIT_USAGE)
        said.append({"name": name, "label": label})
    return said


def _of_codebook(codebook: Path | None) -> list[Json]:
    if codebook is None:
        return []
    with codebook.open(encoding="utf-8-sig", newline="") as opened:
        rows = csv.DictReader(opened)
        found = rows.fieldnames or []
        if "variable" not in found or not set(COLUMNS) & set(found):
            end(f"{codebook} has no column `variable`: its first line names {', '.join(COLUMNS)}.")
        return [
            {"name": row["variable"], **{name: row[name] for name in COLUMNS[1:] if row.get(name)}}
            for row in rows
        ]
