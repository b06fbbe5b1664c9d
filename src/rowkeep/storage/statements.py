"""Named SQL: every statement of rowkeep lives in a `.sql` file under `storage/sql/<dialect>/`.

A file is a list of statements, each opened by a line `-- name: <name>`. Names are unique within a
dialect, parameters are named, and every dialect has the same names (a house test compares them).

A migration is a pair of scripts, so that several servers over one database can be brought to another
version one by one. `0008_name.pre.sql` adds what the new version needs; servers of the version before go
on working with it. `0008_name.post.sql` removes what only those needed; it runs when none of them is
left. Either may be missing. A script `0003_name.sql` is older than the pairs: no other server may run
beside it. A database with one server runs all of them at once, when it is opened.
"""

import re
from importlib import resources
from importlib.resources.abc import Traversable

import msgspec

_header = re.compile(r"^-- name: (\w+)$", re.MULTILINE)


def load_statements(dialect: str) -> dict[str, str]:
    """Returns the statements of a dialect by name. Raises ValueError when a name appears twice."""
    statements: dict[str, str] = {}
    for file in _sql_files(_folder(dialect)):
        found = statements_of(file.read_text(encoding="utf-8"))
        twice = statements.keys() & found
        if twice:
            raise ValueError(f"statement {min(twice)} appears twice in dialect {dialect}")
        statements.update(found)
    return statements


def statements_of(text: str) -> dict[str, str]:
    """Returns the statements in the text of a file by name. Raises ValueError when a name appears twice."""
    parts = _header.split(text)
    names = parts[1::2]
    if len(set(names)) < len(names):
        raise ValueError(f"a statement appears twice among {names}")
    return {name: sql.strip().removesuffix(";") for name, sql in zip(names, parts[2::2], strict=True)}


class Migration(msgspec.Struct, frozen=True):
    """One step of the schema. `pre` runs while servers of the version before may run, `post` later."""

    number: int
    pre: str = ""
    post: str = ""


def load_migrations(dialect: str) -> list[Migration]:
    """Returns the migrations of a dialect in order."""
    migrations: dict[int, Migration] = {}
    for file in _sql_files(_folder(dialect) / "migrations"):
        number, is_pre = int(file.name.split("_")[0]), file.name.endswith(".pre.sql")
        part = {"pre" if is_pre else "post": file.read_text(encoding="utf-8")}
        known = migrations.get(number, Migration(number))
        migrations[number] = msgspec.structs.replace(known, **part)
    return list(migrations.values())


def _folder(dialect: str) -> Traversable:
    return resources.files("rowkeep.storage") / "sql" / dialect


def _sql_files(folder: Traversable) -> list[Traversable]:
    files = [file for file in folder.iterdir() if file.name.endswith(".sql")]
    return sorted(files, key=lambda file: file.name)
