"""The catalog's layout: a noun is one file of Python and one of SQL, and services reach it by its name."""

import ast
from pathlib import Path

from rowkeep.storage.catalog.catalog import CatalogEditor, CatalogView
from rowkeep.storage.statements import statements_of
from tests.house.sources import PACKAGE, python_files, tree_of

CATALOG = PACKAGE / "storage" / "catalog"
SQL = PACKAGE / "storage" / "sql" / "sqlite"
# Beside the nouns: what holds them together, the doors to them, and how records become nouns.
NOT_NOUNS = {"__init__", "catalog", "doors", "records"}
NOT_OF_THE_CATALOG = {"journal", "schema"}
BASE_LINES_MAX = 180


def nouns() -> dict[str, Path]:
    """The files of the catalog's nouns by their names."""
    return {file.stem: file for file in python_files(CATALOG) if file.stem not in NOT_NOUNS}


def statements() -> dict[str, set[str]]:
    """The names of the statements in each SQL file, by the file's name."""
    return {file.stem: set(statements_of(file.read_text(encoding="utf-8"))) for file in SQL.glob("*.sql")}


def texts_of(file: Path) -> set[str]:
    """Every string literal in a file."""
    return {
        node.value
        for node in ast.walk(tree_of(file))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }


def test_a_noun_is_one_file_of_each_language() -> None:
    """Who looks for the SQL of a noun, or for what runs it, finds a file of the noun's name."""
    assert set(nouns()) == set(statements()) - NOT_OF_THE_CATALOG


def test_a_noun_runs_its_own_statements() -> None:
    """A statement is run by the file of its noun alone; what another noun needs, it asks that noun for."""
    by_file = statements()
    every = set().union(*by_file.values())
    run = {noun: texts_of(file) & every for noun, file in nouns().items()}
    assert run == {noun: by_file[noun] for noun in run}


def test_every_noun_is_reached_by_its_name() -> None:
    """`view.uploads` is read in uploads.py, `editor.uploads` is edited there too."""
    reached = {type(noun).__module__.rpartition(".")[2]: name for name, noun in vars(_view()).items()}
    assert reached == {noun: noun for noun in nouns() if noun != "state"}
    for name, noun in vars(_view()).items():
        editing = getattr(_editor(), name)
        assert isinstance(editing, type(noun))
        assert type(editing).__module__ == type(noun).__module__


def test_what_a_database_promises_is_short() -> None:
    """A second database has one page to keep: `storage/base.py` does not list what the catalog can do."""
    assert len((PACKAGE / "storage" / "base.py").read_text(encoding="utf-8").splitlines()) < BASE_LINES_MAX


class _NoConnection:
    """Stands where nothing is run."""

    def records(self, statement: str, /, **parameters: object) -> list[dict[str, object]]:
        raise NotImplementedError(statement)

    def record(self, statement: str, /, **parameters: object) -> dict[str, object] | None:
        raise NotImplementedError(statement)


def _view() -> CatalogView:
    view = CatalogView(_NoConnection())
    del view._connection
    return view


def _editor() -> CatalogEditor:
    return CatalogEditor(_NoConnection())
