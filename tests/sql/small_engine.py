"""A query engine over one small table, for tests of what queries mean."""

import datetime
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa

from rowkeep.model.access import Scope
from rowkeep.model.queries import Dialect, NamedTable, QueryArguments
from rowkeep.model.resources import Entry
from rowkeep.model.schema import Variable
from rowkeep.model.types import VariableType
from rowkeep.services.query_snapshot import snapshot
from rowkeep.sql.errors import QueryRefused
from rowkeep.sql.fragments import Parameters
from rowkeep.sql.gate import parse_query
from rowkeep.sql.translation import TableShape, translated
from rowkeep.workers.entries_file import write_entry
from rowkeep.workers.query.engine import EngineError, QueryEngine
from rowkeep.workers.query.failures import failure_message
from rowkeep.workers.query.tables import TableViews
from tests.unit.read_world import TABLE, World

NOW = datetime.datetime(2026, 1, 2, 3, 4, 5)
MEBIBYTE = 1024 * 1024
# The table t of the cases.
VARIABLES = (
    Variable("id", VariableType.INTEGER),
    Variable("s", VariableType.STRING),
    Variable("n", VariableType.INTEGER),
    Variable("d", VariableType.DATE),
    Variable("ts", VariableType.DATE_TIME),
)
ROWS = [
    {"id": 1, "s": "a", "n": 10, "d": "2024-01-31", "ts": "2024-01-31 23:30:00"},
    {"id": 2, "s": "b", "n": None, "d": "2024-02-29", "ts": "2024-02-29 00:00:00"},
    {"id": 3, "s": None, "n": 30, "d": "2024-12-30", "ts": "2024-12-30 12:00:00"},
    {"id": 4, "s": "B", "n": 20, "d": "2023-01-01", "ts": "2023-01-01 01:00:00"},
]


class SmallEngine:
    """Runs queries over the table t."""

    def __init__(self, engine: QueryEngine) -> None:
        self._engine = engine

    def run(
        self,
        sql: str,
        parameters: Parameters | None = None,
        variables: tuple[Variable, ...] = VARIABLES,
    ) -> list[list[Any]]:
        """The rows of a query, as JSON shows them. Raises QueryRefused, also for what fails on the way."""
        tables = {"t": TableShape("rows", variables)}
        query = translated(parse_query(sql), tables, parameters or Parameters(), NOW)
        try:
            self._engine.add_functions_of(query.sql)
            rows = [row for batch in self._engine.run(query.sql) for row in batch.to_pylist()]
        except EngineError as error:
            raise QueryRefused(failure_message(str(error))) from error
        return [[shown(value) for value in row.values()] for row in rows]


class StoredEngine(SmallEngine):
    """The same over the table as a server keeps it: `places` says where its rows are."""

    def __init__(self, world: World, folder: Path) -> None:
        sink = Sink(folder / "entries", world.directory.segments)
        user_id = world.run(world.doors.read(lambda view: view.owners.find("ada")))
        assert user_id is not None
        arguments = QueryArguments("", Dialect.BIGQUERY, None, {}, user_id.id, (Scope.DATA_EDIT,))
        named = [NamedTable(TABLE)]
        [table] = world.run(world.doors.read(lambda view: snapshot(arguments, named, sink, view)))
        sink.file.close()
        self.table = table
        engine = QueryEngine(folder, memory_bytes_max=512 * MEBIBYTE, threads=1)
        engine.add_geography()
        with (folder / "entries").open("rb") as entries:
            TableViews(engine, entries).add("rows", msgspec.structs.replace(table, has_upload_name=False))
        engine.lock()
        super().__init__(engine)


class Sink:
    """Takes what a query reads of the journal."""

    def __init__(self, path: Path, segments: Path) -> None:
        self.file = path.open("wb")
        self._segments = segments

    def add_entry(self, entry: Entry) -> None:
        write_entry(self.file, entry)

    def segment_path(self, name: str) -> str:
        return str(self._segments / name)

    def is_checked(self, name: str) -> bool:
        return not name

    def close(self) -> Path:
        return Path(self.file.name)


@contextmanager
def small_engine() -> Iterator[SmallEngine]:
    """An engine with the table t, locked as a query meets it."""
    with tempfile.TemporaryDirectory() as folder:
        engine = QueryEngine(Path(folder), memory_bytes_max=512 * MEBIBYTE, threads=1)
        engine.add_geography()
        engine.add_rows("t_rows", _table())
        engine.add_view("rows", "SELECT id AS c0, s AS c1, n AS c2, d AS c3, ts AS c4 FROM t_rows")
        engine.lock()
        yield SmallEngine(engine)


def _table() -> pa.Table:
    typed = [
        {
            **row,
            "d": datetime.date.fromisoformat(str(row["d"])),
            "ts": datetime.datetime.fromisoformat(str(row["ts"])),
        }
        for row in ROWS
    ]
    schema = {"id": pa.int64(), "s": pa.string(), "n": pa.int64(), "d": pa.date32(), "ts": pa.timestamp("us")}
    return pa.Table.from_pylist(typed, schema=pa.schema(list(schema.items())))


def shown(value: Any) -> Any:
    """A value as the cases write it."""
    if isinstance(value, datetime.datetime):
        return value.isoformat(sep=" ")
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, float) and value != value:
        return "NaN"
    if value in (float("inf"), float("-inf")):
        return "Infinity" if value > 0 else "-Infinity"
    return value
