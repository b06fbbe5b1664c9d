"""`rowkeep export`: the rows of a table as a file, over the API."""

import os
import time
from pathlib import Path
from urllib.parse import quote

import click

from rowkeep.client.api import Api, Json
from rowkeep.client.folders import sync_folder
from rowkeep.client.places import table_place
from rowkeep.commands.output import plural, size
from rowkeep.commands.remote import EXIT_REQUEST_REFUSED, EXIT_USAGE, end, parsed, remote, tell

FORMATS = ("csv", "jsonl", "ndjson", "parquet", "arrow", "avro", "xlsx", "dta", "sav")
COMPRESSIONS = {".gz": "gzip", ".zst": "zstd"}
COMPLETED, UNFINISHED = "completed", ("queued", "running")
POLL_SECONDS = 0.2


@click.command("export")
@click.argument("table", metavar="OWNER.DATASET.TABLE")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--upload", help="Only the rows of this upload. [default: those of all]")
@click.option(
    "--file-format",
    type=click.Choice(FORMATS),
    help="The format of the file. [default: by the name of FILE, of which .gz and .zst may be the end]",
)
@click.option("--columns", metavar="NAMES", help="Variables with commas between. [default: all]")
@click.option(
    "--null", "null_marker", metavar="TEXT", help="Of CSV: what stands for null. [default: nothing]"
)
@click.option(
    "--bom", is_flag=True, help="Of CSV: begin with a mark by which Excel knows UTF-8. [default: off]"
)
@click.option("--force", is_flag=True, help="Write over FILE if it exists. [default: stop]")
@remote
def export_command(
    table: str,
    file: Path,
    upload: str | None,
    file_format: str | None,
    columns: str | None,
    null_marker: str | None,
    *,
    bom: bool,
    force: bool,
    api: Api,
) -> None:
    """Write the rows of a table to FILE, as they are now.

    Formats are CSV, JSON lines, Parquet, Arrow, Avro, Excel (xlsx), Stata (dta) and SPSS (sav). A very large
    table comes as several files, FILE and others with a number in their names.
    """
    (place,) = parsed(table_place, [table])
    if file.exists() and not force:
        end(f"{file} exists: say --force to write over it.", EXIT_USAGE)
    asked: Json = {
        **_format_of(file, file_format),
        "nullMarker": null_marker,
        "bom": bom or None,
        "selectedVariables": None if columns is None else columns.split(","),
    }
    path = place.path if upload is None else f"{place.path}/uploads/{quote(upload, safe='')}"
    said = {name: value for name, value in asked.items() if value is not None}
    export = api.change("POST", f"{path}/exports", said)
    try:
        _fetch(api, _finished(api, export), file)
    finally:
        api.close()  # a request may have been interrupted on its connection
        api.change("DELETE", f"/exports/{export['id']}")


def _finished(api: Api, export: Json) -> Json:
    while export["status"] in UNFINISHED:
        time.sleep(POLL_SECONDS)
        export = api.read(f"/exports/{export['id']}")
    if export["status"] != COMPLETED:
        problem = str(export["errorMessage"] or f"The export is {export['status']}.")
        end(" ".join(problem.split()), EXIT_REQUEST_REFUSED)
    return export


def _fetch(api: Api, export: Json, file: Path) -> None:
    for part in range(export["fileCount"]):
        target = file if part == 0 else file.with_name(f"{file.stem}-{part + 1}{file.suffix}")
        _write(api, f"/exports/{export['id']}/download", part, target)
        click.echo(f"{target}: {size(target.stat().st_size)}")
    click.echo(plural(export["numRows"], "row"))
    for warning in export["warnings"]:
        tell(str(warning))


def _write(api: Api, path: str, part: int, target: Path) -> None:
    """Writes a part of the export under another name, and renames it when it is complete."""
    beside = target.with_name(f".{target.name}-{os.getpid()}")
    try:
        with beside.open("wb") as opened:
            opened.writelines(api.chunks(path, filePart=part))
            opened.flush()
            os.fsync(opened.fileno())
        beside.replace(target)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    sync_folder(target.parent)


def _format_of(file: Path, given: str | None) -> Json:
    """Returns the format and the compression that a file's name stands for."""
    compression = COMPRESSIONS.get(file.suffix.lower())
    plain = file if compression is None else file.with_suffix("")
    found = given or plain.suffix.lower().removeprefix(".")
    if found not in FORMATS:
        end(f"{file} does not tell its format: say --file-format, one of {', '.join(FORMATS)}.", EXIT_USAGE)
    return {"format": found, "compression": compression}
