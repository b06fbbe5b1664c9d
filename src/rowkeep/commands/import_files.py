"""`rowkeep import`: files of any type into a table, over the API. What it does is in `client/imports.py`."""

import glob
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from rowkeep.client.api import Api, Json
from rowkeep.client.errors import InsertError
from rowkeep.client.imports import FileSaid, Import, LoadFailed
from rowkeep.client.places import table_place
from rowkeep.commands.output import plural, printable, table_lines
from rowkeep.commands.remote import (
    EXIT_ROWS_LEFT_OUT,
    EXIT_ROWS_REFUSED,
    EXIT_USAGE,
    end,
    parsed,
    remote,
    tell,
)
from rowkeep.commands.show import variables_of

TYPES = ("string", "integer", "float", "boolean", "date", "dateTime", "time", "geography")
BAD_ROWS_SHOWN = 20
# What the types are called elsewhere.
_OTHER_NAMES = {
    **dict.fromkeys(("str", "text", "varchar", "char", "object", "factor", "category"), "string"),
    **dict.fromkeys(("int", "int32", "int64", "long", "bigint", "whole"), "integer"),
    **dict.fromkeys(("double", "number", "numeric", "decimal", "real", "float64"), "float"),
    **dict.fromkeys(("bool", "logical"), "boolean"),
    **dict.fromkeys(("timestamp", "datetime64", "date_time"), "dateTime"),
}


class _Choices:
    """What happens to a load once its rows can be seen: the options of the person who imports."""

    def __init__(self, *, is_sure: bool, is_dry_run: bool, replaced: Sequence[Path]) -> None:
        self.is_sure = is_sure
        self.is_dry_run = is_dry_run
        self.replaced = replaced


@click.command("import")
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
@click.argument("table", metavar="OWNER.DATASET.TABLE")
@click.option("--yes", "-y", "is_sure", is_flag=True, help="Keep the rows without asking. [default: ask]")
@click.option(
    "--dry-run",
    "is_dry_run",
    is_flag=True,
    help="Load, show what was found, and take everything away again. [default: off]",
)
@click.option(
    "--type",
    "types",
    multiple=True,
    metavar="COLUMN=TYPE",
    help=f"The type of a column: {', '.join(TYPES)}; repeatable. "
    "[default: the narrowest that fits all its values]",
)
@click.option(
    "--null",
    "nulls",
    multiple=True,
    metavar="TEXT",
    help="Fields that are TEXT are null; repeatable. [default: empty fields without quotes]",
)
@click.option("--delimiter", help="Of delimited text: one character, or tab. [default: found in the file]")
@click.option("--encoding", help="Of text, such as latin-1. [default: found in the file]")
@click.option("--file-type", help="Such as delimited, parquet, xlsx or sav. [default: found in the file]")
@click.option("--no-header", is_flag=True, help="The first line is a row. [default: it names the columns]")
@click.option(
    "--on-error",
    type=click.Choice(["abort", "quarantine"]),
    default="abort",
    show_default=True,
    help="What to do with rows that do not fit: load nothing, or keep them aside in the upload's quarantine.",
)
@click.option(
    "--if-exists",
    type=click.Choice(["fail", "replace", "add"]),
    default="fail",
    show_default=True,
    help="What to do when the table has a file of that name: stop, put the new one in its place, or add it.",
)
@remote
def import_command(
    files: tuple[str, ...],
    table: str,
    *,
    api: Api,
    is_sure: bool,
    is_dry_run: bool,
    types: tuple[str, ...],
    nulls: tuple[str, ...],
    delimiter: str | None,
    encoding: str | None,
    file_type: str | None,
    no_header: bool,
    on_error: str,
    if_exists: str,
) -> None:
    """Load files into a table: CSV, JSON, Parquet, Excel, Stata, SPSS, SAS and others.

    FILE may be a folder, whose files are taken, or a pattern such as 'wave*.csv'. The dataset and the table
    are made if they are missing. Each file becomes an upload of its name, in the next version of the dataset.

    The types are shown with examples before you decide to keep the rows. Either all files are kept or none:
    where one cannot be loaded, or you say no, everything that this command has made is deleted again. Until
    then the rows are seen only by those who may edit the dataset.
    """
    (place,) = parsed(table_place, [table])
    if ":" in place.dataset:
        end("files go into the next version of a dataset: leave the version out of its name.", EXIT_USAGE)
    if not (is_sure or is_dry_run or sys.stdin.isatty()):
        end("this is no terminal to ask on: say --yes to keep the rows, or --dry-run to look.", EXIT_USAGE)
    found = _files(files)
    said = FileSaid(
        types=_types(types),
        null_markers=nulls,
        delimiter={"tab": "\t", "\\t": "\t"}.get(delimiter or "", delimiter),
        encoding=encoding,
        file_type=file_type,
        has_header_row=not no_header,
        skips_bad_records=on_error == "quarantine",
    )
    importing = Import(api, place, tell)
    taken = importing.taken(found)
    if taken and if_exists == "fail":
        end(f"{table} has {', '.join(file.name for file in taken)} already: say --if-exists replace or add.")
    released = importing.released([file for file in found if file not in taken])
    if released and if_exists != "add":
        names = ", ".join(file.name for file in released)
        end(
            f"a released version of {table} has {names} already, and its rows stay: rename the file, or say "
            "--if-exists add to have its rows once more."
        )
    choices = _Choices(
        is_sure=is_sure, is_dry_run=is_dry_run, replaced=taken if if_exists == "replace" else ()
    )
    _run(importing, found, said, choices)


def _run(importing: Import, files: Sequence[Path], said: FileSaid, choices: _Choices) -> None:
    try:
        importing.make_missing()
        for file in files:
            upload = importing.load(file, said)
            click.echo(_described(file, upload))
        _show(importing)
        is_kept = not choices.is_dry_run and (choices.is_sure or click.confirm("Keep these rows?", err=True))
    except (InsertError, OSError, KeyboardInterrupt, click.Abort) as error:
        _take_back(importing)
        _explain(error)
    if not is_kept:
        importing.take_back()
        click.echo("Nothing was kept.")
        return
    for file in choices.replaced:
        importing.replace(file, said)
    _summarize(importing)


def _take_back(importing: Import) -> None:
    try:
        importing.take_back()
    except InsertError as error:
        names = ", ".join(str(upload["name"]) for upload in importing.uploads.values())
        tell(f"what was loaded could not be deleted ({error}); look for these uploads: {names}")


def _explain(error: BaseException) -> None:
    """Prints what stopped an import, and that nothing of it is left. Raises errors that others explain."""
    if isinstance(error, LoadFailed):
        bad = _bad_lines(error.upload)
        if bad:
            click.echo("\n".join(bad), err=True)
            tell("correct the file, or keep such rows aside with --on-error quarantine.")
        end(f"{' '.join(str(error).split())} Nothing was kept.", EXIT_ROWS_REFUSED)
    if isinstance(error, click.Abort | KeyboardInterrupt):
        tell("stopped; nothing was kept.")
        raise KeyboardInterrupt from error
    raise error


def _described(file: Path, upload: Json) -> str:
    facts = [str(upload["type"])]
    facts += [str(upload["encoding"])] if upload["encoding"] else []
    facts += [f"delimiter {upload['delimiter']!r}"] if upload["delimiter"] else []
    lines = [f"{file}: {plural(upload['numRows'], 'row')} ({', '.join(facts)})"]
    lines += [f"  {warning}" for warning in upload["warnings"]]
    return "\n".join([*lines, *_bad_lines(upload)])


def _show(importing: Import) -> None:
    is_one = len(importing.uploads) == 1
    path = str(next(iter(importing.uploads.values()))["uri"]) if is_one else importing.place.path
    examples = importing.examples()
    rows = [
        {**variable, "examples": ", ".join(_shown(value) for value in examples.get(variable["variable"], []))}
        for variable in variables_of(importing.api, path)
    ]
    click.echo("\n".join(["", *table_lines(("variable", "type", "examples", "label"), rows), ""]))


def _bad_lines(upload: Json) -> list[str]:
    """Returns the refused rows of a file as a table, with a count of those that are not shown."""
    count, first = int(upload["badRecordsCount"]), upload["badRecords"][:BAD_ROWS_SHOWN]
    if not count:
        return []
    more = [f"and {count - len(first):,} more"] if count > len(first) else []
    columns = ("line", "row", "column", "value", "expected")
    return [f"{plural(count, 'row')} refused:", *table_lines(columns, first), *more]


def _summarize(importing: Import) -> None:
    dataset = importing.place.dataset_reference.removesuffix(":next")
    rows = sum(int(upload["numRows"]) for upload in importing.uploads.values())
    bad = sum(int(upload["badRecordsCount"]) for upload in importing.uploads.values())
    files = plural(len(importing.uploads), "file")
    click.echo(
        f"{plural(rows, 'row')} of {files} are in {dataset}.{importing.place.table}, not released yet."
    )
    click.echo(f"`rowkeep release {dataset}` publishes them.")
    if bad:
        click.echo(f"{plural(bad, 'row')} did not fit and wait in the quarantine.")
        sys.exit(EXIT_ROWS_LEFT_OUT)


def _shown(value: object) -> str:
    text = printable(value if isinstance(value, str) else str(value).lower())
    return text if len(text) <= 20 else text[:19] + "…"


def _types(given: Sequence[str]) -> dict[str, str]:
    known = {type_.lower(): type_ for type_ in TYPES}
    types = {}
    for text in given:
        column, _, type_ = text.rpartition("=")
        if not column or type_.lower() not in known:
            meant = _OTHER_NAMES.get(type_.lower())
            hint = f" Did you mean {column}={meant}?" if column and meant else ""
            end(f"--type {text} is not COLUMN=TYPE, with a type of {', '.join(TYPES)}.{hint}", EXIT_USAGE)
        types[column] = known[type_.lower()]
    return types


def _files(given: Sequence[str]) -> list[Path]:
    """Returns the files that the arguments name, in order. An argument can be a folder or a pattern."""
    found: dict[Path, None] = {}
    for text in given:
        path = Path(text)
        if path.is_dir():
            inside = sorted(file for file in path.iterdir() if file.is_file() and file.name[0] != ".")
        else:
            inside = [path] if path.exists() else sorted(Path(name) for name in glob.glob(text))  # noqa: PTH207 - a pattern may be absolute
        if not inside:
            end(f"there is no file {text}.", EXIT_USAGE)
        found.update(dict.fromkeys(inside))
    return list(found)
