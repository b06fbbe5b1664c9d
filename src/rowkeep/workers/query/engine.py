"""DuckDB as it runs a query: its settings, their order, and what it can reach.

Theory
------
The order is the wall. Settings that cannot be changed later come first, with one thread, so that this can be
done before there is a query and a jail (`prepare`). Then come the limits; then what a query needs (functions,
the tables as views over an exact list of open files); then external access is taken away and the
configuration is locked; then, and only then, comes SQL that was made from what a caller sent. Files are named
by their descriptor, `/proc/self/fd/N`: no path of the server's is in anything that a query can see.

These settings stop reading, ATTACH, extensions and the network. They do not stop writing to the files that
may be read, nor memory or time in every case: the jail around the process does (workers/jail.py).
"""

import os
import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import duckdb
import duckdb_extension_spatial
import msgspec
import pyarrow as pa
from duckdb.func import FunctionNullHandling

from rowkeep.formats.columns import text_of
from rowkeep.model.errors import damaged
from rowkeep.sql.fragments import quoted
from rowkeep.sql.python_functions import PYTHON_FUNCTIONS, PythonFunction

ROWS_PER_BATCH = 65_536
_FUNCTIONS = {**PYTHON_FUNCTIONS, "bq_stored_text": PythonFunction(text_of, ("DOUBLE",), "VARCHAR")}
# What `prepare` has connected, for the first engine of this process.
_prepared: list[duckdb.DuckDBPyConnection] = []
_own_name = re.compile(r"\bbq_\w+")
_macro_name = re.compile(r"CREATE MACRO (\w+)\(")


class EngineError(Exception):
    """DuckDB refused or failed. `message` is its own."""


class QueryEngine:
    """A database in memory. Once locked, it reads only the files that it was given."""

    def __init__(self, scratch: Path, *, memory_bytes_max: int, threads: int) -> None:
        self._connection = _prepared.pop() if _prepared else _connected()
        self._run(f"SET memory_limit = '{memory_bytes_max}B'")
        self._run(f"SET temp_directory = {quoted(str(scratch))}")
        self._run(f"SET threads = {threads}")
        self._files: list[str] = []
        self._added: set[str] = set()

    def add_functions_of(self, sql: str) -> None:
        """Adds the functions of ours that a text calls. Adding all would take longer than most queries.

        Each is called value by value. Functions of whole Arrow columns are no faster, and DuckDB 1.5.5 frees
        a column's memory before it has read the texts in it.
        """
        for name in sorted(set(_own_name.findall(sql)) - self._added):
            self._added.add(name)
            function, macro = _FUNCTIONS.get(name), _macros().get(name)
            if function is not None:
                self._add_function(name, function)
            elif macro is not None:
                self.add_functions_of(macro)
                self._run(macro)

    def _add_function(self, name: str, function: PythonFunction) -> None:
        self._connection.create_function(
            name,
            _null_for_null(function),
            list(function.arguments),
            function.result,
            null_handling=FunctionNullHandling.SPECIAL,
        )

    def add_geography(self) -> None:
        """Loads DuckDB's spatial extension from the package that it comes in."""
        folder = Path(duckdb_extension_spatial.__file__).parent / "extensions"
        [file] = folder.glob(f"v{duckdb.__version__}/spatial.duckdb_extension")
        self._run(f"LOAD '{file}'")

    def open_file(self, path: str, byte_count: int) -> str:
        """Opens a segment that the query may read. Returns the name for it in SQL. Raises internal_error."""
        try:
            descriptor = os.open(path, os.O_RDONLY)
        except OSError as error:
            raise damaged(f"A segment cannot be opened: {error.strerror}.") from error
        if os.fstat(descriptor).st_size != byte_count:
            raise damaged("A segment is not as long as it was written.")
        name = f"/proc/self/fd/{descriptor}"
        self._files.append(name)
        return name

    def add_rows(self, name: str, rows: pa.Table) -> None:
        """Adds rows that are in memory, as a view."""
        self._connection.register(name, rows)

    def add_view(self, name: str, sql: str) -> None:
        """Adds a view."""
        self.add_functions_of(sql)
        self._run(f"CREATE VIEW {name} AS {sql}")

    def lock(self) -> None:
        """Takes away everything that the query does not need. No setting can be changed after this."""
        listed = ", ".join(f"'{name}'" for name in self._files)
        self._run(f"SET allowed_paths = [{listed}]")
        self._run("SET enable_external_access = false")
        self._run("SET lock_configuration = true")

    def parsed(self, text: str) -> dict[str, Any]:
        """Returns DuckDB's own syntax tree of a text. For faulty SQL the tree says so."""
        found = self._connection.execute("SELECT json_serialize_sql(?)", [text]).fetchone()
        assert found is not None
        tree: dict[str, Any] = msgspec.json.decode(found[0])
        return tree

    def text_of(self, tree: dict[str, Any]) -> str:
        """Returns a syntax tree as text."""
        given = msgspec.json.encode(tree).decode()
        found = self._connection.execute("SELECT json_deserialize_sql(CAST(? AS JSON))", [given]).fetchone()
        assert found is not None
        return str(found[0])

    def columns_of(self, sql: str) -> list[tuple[str, str]]:
        """Returns the names and types of a query's columns. Raises EngineError."""
        try:
            rows = self._connection.execute(f"DESCRIBE {sql}").fetchall()
        except duckdb.Error as error:
            raise EngineError(str(error)) from error
        return [(str(row[0]), str(row[1])) for row in rows]

    def run(self, sql: str) -> Iterator[pa.RecordBatch]:
        """Yields the rows of a query. Raises EngineError, also while they are read."""
        try:
            statements = self._connection.extract_statements(sql)
            if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
                raise EngineError("The translated text is not one query.")
            reader = self._connection.execute(statements[0]).to_arrow_reader(ROWS_PER_BATCH)
            yield from reader
        except (duckdb.Error, pa.ArrowException, RuntimeError) as error:
            raise EngineError(str(error)) from error

    def close(self) -> None:
        """Closes the database and frees its memory."""
        self._connection.close()

    def _run(self, sql: str) -> None:
        self._connection.execute(sql)


def prepare() -> None:
    """Connects and runs a first query, before any caller's query is known (workers/worker.py)."""
    connection = _connected()
    connection.execute("SELECT 1").to_arrow_reader(1).read_all()
    _prepared.append(connection)


def _connected() -> duckdb.DuckDBPyConnection:
    """Returns a database in memory, with one thread and the settings that cannot be made later."""
    connection = duckdb.connect(
        config={
            "threads": 1,
            "allow_community_extensions": False,
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "allow_persistent_secrets": False,
            "python_enable_replacements": False,
            "python_scan_all_frames": False,
            "enable_fsst_vectors": False,
            "errors_as_json": False,
        }
    )
    connection.execute("SET TimeZone = 'UTC'")
    return connection


@lru_cache(maxsize=1)
def _macros() -> dict[str, str]:
    """Returns the macros of macros.sql by name."""
    text = (files("rowkeep.sql") / "macros.sql").read_text(encoding="utf-8")
    plain = "\n".join(line for line in text.splitlines() if not line.startswith("--"))
    statements = [part.strip() for part in plain.split(";\n")]
    return {match[1]: part for part in statements if (match := _macro_name.match(part))}


def _null_for_null(function: PythonFunction) -> Callable[..., Any]:
    """Returns a function that gives NULL for NULL, with the number of parameters that DuckDB is told."""
    call = function.call

    def checked(*values: Any) -> Any:
        return None if any(value is None for value in values) else call(*values)

    wrappers: dict[int, Callable[..., Any]] = {
        1: lambda a: None if a is None else call(a),
        2: lambda a, b: checked(a, b),
        3: lambda a, b, c: checked(a, b, c),
        4: lambda a, b, c, d: checked(a, b, c, d),
    }
    return wrappers[len(function.arguments)]
