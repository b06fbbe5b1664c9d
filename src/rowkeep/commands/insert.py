"""`rowkeep insert`: the command itself. What it does is in `client/files/run.py`."""

import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import click

from rowkeep.client.connection import parse_address
from rowkeep.client.errors import NAMED_ROWS_MAX, InsertError, RequestRefused, RowsRefused, ServerUnreachable
from rowkeep.client.files.advice import advice_on
from rowkeep.client.files.delimited import Dialect
from rowkeep.client.files.run import BATCH_BYTES_MAX, FileInsertOptions, FileInsertReport, run_file_insert
from rowkeep.client.files.standing import ServerDiffers
from rowkeep.client.files.taps import InputChanged
from rowkeep.client.patience import RetryPolicy
from rowkeep.commands.remote import (
    EXIT_INTERRUPTED,
    EXIT_OTHER,
    EXIT_REQUEST_REFUSED,
    EXIT_ROWS_LEFT_OUT,
    EXIT_ROWS_REFUSED,
    EXIT_UNREACHABLE,
    server_options,
)

EXIT_SERVER_DIFFERS = 7

_REFUSED_ADVICE = (
    "No line of this request was inserted. Correct the input and run again, or leave such lines out "
    "with --on-error skip or quarantine."
)
_FORMS: dict[str, Literal["ndjson", "csv"]] = {
    ".csv": "csv",
    ".tsv": "csv",
    ".tab": "csv",
    ".psv": "csv",
    ".ndjson": "ndjson",
    ".jsonl": "ndjson",
}


@click.command("insert")
@click.argument("table", metavar="OWNER.DATASET.TABLE")
@click.argument("upload")
@click.argument("file", default="-", type=click.Path(dir_okay=False, path_type=Path, allow_dash=True))
@click.option(
    "--format",
    "form",
    type=click.Choice(["ndjson", "csv"]),
    help="How the rows are written. [default: by the file's name]",
)
@click.option("--delimiter", help="Of CSV: one character, or tab. [default: by the header: , ; tab or |]")
@click.option(
    "--null",
    "nulls",
    multiple=True,
    metavar="TEXT",
    help="Of CSV: fields that are TEXT are null; repeatable. [default: empty fields without quotes]",
)
@click.option(
    "--follow",
    is_flag=True,
    help="Go on with what is appended to FILE, until SIGINT or SIGTERM. [default: end with FILE]",
)
@click.option(
    "--state",
    type=click.Path(path_type=Path),
    help="Where it is noted how far FILE is in. [default: FILE.rowkeep-state]",
)
@click.option("--source", help="The name of the input in the keys. [default: the path of FILE]")
@click.option(
    "--restart",
    "--again",
    "is_again",
    is_flag=True,
    help="Insert FILE from its beginning, also what is in already. [default: go on where it stopped]",
)
@click.option("--batch-bytes", default=BATCH_BYTES_MAX, show_default=True, help="Bytes of FILE a request.")
@click.option("--linger", default=1.0, show_default=True, help="Seconds that rows wait for more of them.")
@click.option("--in-flight", default=1, show_default=True, help="Requests at a time; 1 keeps the order.")
@click.option(
    "--on-error",
    type=click.Choice(["abort", "skip", "quarantine"]),
    default="abort",
    show_default=True,
    help="What to do with rows that do not fit.",
)
@click.option(
    "--quarantine",
    type=click.Path(path_type=Path),
    help="Where refused rows are kept. [default: FILE.rowkeep-quarantine.jsonl]",
)
@click.option("--retry-seconds", default=600.0, show_default=True, help="How long a request is repeated.")
@click.option(
    "--wait-for-version",
    default=600.0,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait for a next version where a dataset has none.",
)
@server_options
def insert_command(**given: Any) -> None:
    """Insert the rows of an NDJSON or CSV file, or of the standard input (-), into a stream.

    A run that was interrupted, by whatever, is run again: no row is lost or doubled.
    """
    options = _options(**given)
    report = FileInsertReport()
    is_stopping = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: _stop(is_stopping))
    status = _run(options, report, is_stopping)
    click.echo(report.text)
    if status == 0 and is_stopping.is_set() and not options.is_following:
        status = EXIT_INTERRUPTED
    if status == 0 and report.refused:
        status = EXIT_ROWS_LEFT_OUT
    sys.exit(status)


def _stop(is_stopping: threading.Event) -> None:
    if is_stopping.is_set():
        raise KeyboardInterrupt  # asked twice
    is_stopping.set()


def _run(options: FileInsertOptions, report: FileInsertReport, is_stopping: threading.Event) -> int:
    try:
        run_file_insert(options, report, is_stopping, _tell)
    except (InsertError, InputChanged, ServerDiffers, OSError, ValueError) as error:
        click.echo(f"rowkeep: {_message(error, options)}", err=True)
        return _status_of(error)
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    return 0


def _tell(notice: str) -> None:
    click.echo(f"rowkeep: {notice}", err=True)


def _message(error: Exception, options: FileInsertOptions) -> str:
    if not isinstance(error, RowsRefused):
        return str(error)
    place = "line" if options.file is None else f"{options.file}, line"
    named = [f"{place} {row.number}: {row.reasons[0].message}" for row in error.rows[:NAMED_ROWS_MAX]]
    more = len(error.rows) - len(named)
    advice = [*advice_on(error.rows, is_csv=options.form == "csv"), _REFUSED_ADVICE]
    return "\n".join([*named, *([f"and {more} more lines"] if more else []), *advice])


def _status_of(error: Exception) -> int:
    if isinstance(error, RowsRefused):
        return EXIT_ROWS_REFUSED
    if isinstance(error, RequestRefused):
        return EXIT_REQUEST_REFUSED
    if isinstance(error, ServerDiffers):
        return EXIT_SERVER_DIFFERS
    return EXIT_UNREACHABLE if isinstance(error, ServerUnreachable) else EXIT_OTHER


def _options(**given: Any) -> FileInsertOptions:
    file: Path | None = None if str(given["file"]) == "-" else given["file"]
    form = given["form"] or _FORMS.get("" if file is None else file.suffix.lower())
    if form is None:
        raise click.UsageError("--format says whether the rows are ndjson or csv; the name does not tell.")
    if file is None and (given["follow"] or given["state"] or given["is_again"]):
        raise click.UsageError("--follow, --state and --restart take a FILE.")
    if min(given["batch_bytes"], given["in_flight"]) < 1:
        raise click.UsageError("--batch-bytes and --in-flight must be at least 1.")
    try:
        parse_address(given["url"])
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    return FileInsertOptions(
        url=given["url"],
        token=given["token"],
        table=given["table"],
        upload=given["upload"],
        file=file,
        form=form,
        dialect=_dialect(form, given["delimiter"], given["nulls"]),
        is_following=given["follow"],
        state=given["state"],
        source=given["source"],
        is_again=given["is_again"],
        batch_bytes_max=given["batch_bytes"],
        linger_seconds=given["linger"],
        in_flight_max=given["in_flight"],
        on_error=given["on_error"],
        quarantine=_quarantine(file, given["on_error"], given["quarantine"]),
        retry=RetryPolicy(seconds_max=given["retry_seconds"], version_seconds_max=given["wait_for_version"]),
    )


def _dialect(form: str, delimiter: str | None, nulls: Sequence[str]) -> Dialect:
    if form != "csv" and (delimiter is not None or nulls):
        raise click.UsageError("--delimiter and --null go with CSV.")
    character = {"tab": "\t", "\\t": "\t"}.get(delimiter or "", delimiter)
    if character is not None and (len(character.encode()) != 1 or character in '"\r\n'):
        raise click.UsageError("--delimiter must be one ASCII character, such as ; or tab.")
    return Dialect(
        None if character is None else character.encode(), frozenset(null.encode() for null in nulls)
    )


def _quarantine(file: Path | None, on_error: str, given: Path | None) -> Path | None:
    if on_error != "quarantine":
        if given is not None:
            raise click.UsageError("--quarantine goes with --on-error quarantine.")
        return None
    if given is None and file is None:
        raise click.UsageError("--quarantine says where the refused rows of the standard input are kept.")
    return given if given is not None or file is None else Path(f"{file}.rowkeep-quarantine.jsonl")
