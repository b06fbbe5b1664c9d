"""SQL lives in named statements: each once, in every dialect, and each of use."""

import ast

from rowkeep.storage.statements import load_statements
from tests.house.sources import PACKAGE, python_files, tree_of

SQL = PACKAGE / "storage" / "sql"
# The dialects of the catalog and the journal; DuckDB keeps nothing and has statements of its own.
DIALECTS = sorted(folder.name for folder in SQL.iterdir() if (folder / "migrations").is_dir())


def texts_in_storage() -> set[str]:
    """Every string literal in the code of storage."""
    return {
        node.value
        for file in python_files(PACKAGE / "storage")
        for node in ast.walk(tree_of(file))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }


def test_dialects_have_the_same_statements() -> None:
    """What is written above the seam runs on every database; loading refuses a name given twice."""
    names = {dialect: sorted(load_statements(dialect)) for dialect in DIALECTS}
    assert names["sqlite"]
    assert all(listed == names["sqlite"] for listed in names.values())


def test_every_statement_is_used() -> None:
    """No statement outlives the code that ran it."""
    assert not {*load_statements("sqlite"), *load_statements("duckdb")} - texts_in_storage()


def test_no_sql_in_python() -> None:
    """Statements on data stand in .sql files, where they can be read and compared."""
    verbs = ("SELECT ", "INSERT ", "UPDATE ", "DELETE ", "CREATE ")
    assert not [text for text in texts_in_storage() if text.startswith(verbs)]
