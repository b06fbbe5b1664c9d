"""Named SQL: every statement of rowkeep lives in a `.sql` file under `storage/sql/<dialect>/`.

A file is a list of statements, each opened by a line `-- name: <name>`. Names are unique within a
dialect, parameters are named, and every dialect has the same names (a house test compares them).
"""

import re
from importlib import resources
from importlib.resources.abc import Traversable

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


def load_migrations(dialect: str) -> list[tuple[int, str]]:
    """The migrations of a dialect in order: number and script."""
    files = _sql_files(_folder(dialect) / "migrations")
    return [(int(file.name.split("_")[0]), file.read_text(encoding="utf-8")) for file in files]


def _folder(dialect: str) -> Traversable:
    return resources.files("rowkeep.storage") / "sql" / dialect


def _sql_files(folder: Traversable) -> list[Traversable]:
    files = [file for file in folder.iterdir() if file.name.endswith(".sql")]
    return sorted(files, key=lambda file: file.name)
