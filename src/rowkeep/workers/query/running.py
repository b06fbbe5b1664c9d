"""A query, in its jailed workers: the first returns the tables that it names, the second its rows."""

import datetime
import sys
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import msgspec
import pyarrow as pa

from rowkeep.formats.arrow import arrow_schema
from rowkeep.model.errors import ErrorCode, RowkeepError, invalid_request
from rowkeep.model.queries import (
    RESULT_SCHEMA_VERSION,
    Dialect,
    NamedTable,
    QueryAnswer,
    QueryPlan,
    QueryResult,
)
from rowkeep.model.resources import Segment
from rowkeep.model.schema import Schema
from rowkeep.sql.duckdb_gate import checked_tree, uses_geography, with_views
from rowkeep.sql.duckdb_output import finished_duckdb
from rowkeep.sql.errors import QueryRefused, at
from rowkeep.sql.filters import filtered
from rowkeep.sql.fragments import Parameters
from rowkeep.sql.gate import parse_query, position_of, reference_of
from rowkeep.sql.output import Translation
from rowkeep.sql.translation import TableShape, translated
from rowkeep.storage.local_files import Disk
from rowkeep.storage.local_segments import LocalSegments
from rowkeep.storage.segments.checked_file import CheckedSink
from rowkeep.storage.segments.naming import new_name
from rowkeep.storage.segments.parquet import SegmentWriter
from rowkeep.workers.held_file import HeldFile
from rowkeep.workers.query.engine import EngineError, QueryEngine
from rowkeep.workers.query.failures import NOT_SERVED, failure_kind, failure_message
from rowkeep.workers.query.tables import TableViews
from rowkeep.workers.worker import Work

ENTRIES = "entries"
RESULT = "result"
_SCRATCH = "scratch"
# pyarrow looks for pandas at its first array. Where it is installed, that takes longer than most queries: it
# is imported once, by the process that workers are forked from.
with suppress(ImportError):
    import pandas  # noqa: F401
# Translating goes down into a query; Python's own default ends before a query that the gate lets through.
RECURSION_MAX = 20_000
# What DuckDB may take of the memory that the worker may; the rest is Python's and Arrow's.
ENGINE_MEMORY_SHARE = 0.6
PARSE_MEMORY_BYTES_MAX = 256 * 1024 * 1024


class ParseJob(msgspec.Struct, frozen=True):
    """A text to parse."""

    text: str
    dialect: Dialect


def name_tables(work: Work) -> list[NamedTable]:
    """Returns the tables that a query names. Raises invalid_request_error for a query that is refused."""
    job = work.arguments(ParseJob)
    sys.setrecursionlimit(RECURSION_MAX)
    try:
        return _named_tables(job)
    except QueryRefused as error:
        raise _failed(error.message, NOT_SERVED) from error


def _named_tables(job: ParseJob) -> list[NamedTable]:
    if job.dialect is Dialect.DUCKDB:
        return _named_by_duckdb(job.text)
    parsed = parse_query(job.text)
    named: dict[str, NamedTable] = {}
    for table in parsed.tables:
        reference = reference_of(job.text, table)
        line, column = position_of(job.text, table) or (None, None)
        named.setdefault(reference, NamedTable(reference, line, column))
    return [named[reference] for reference in named if reference.lower() not in parsed.own_names]


def _named_by_duckdb(text: str) -> list[NamedTable]:
    engine = QueryEngine(Path(), memory_bytes_max=PARSE_MEMORY_BYTES_MAX, threads=1)
    engine.lock()
    named: dict[str, NamedTable] = {}
    for reference, offset in checked_tree(text, engine.parsed(text)):
        line, column = (None, None) if offset is None else at(text, offset)
        named.setdefault(reference, NamedTable(reference, line, column))
    return list(named.values())


def run_query(work: Work) -> QueryAnswer:
    """Runs a query and writes its rows to a durable file.

    Raises invalid_request_error when the query fails.
    """
    plan = work.arguments(QueryPlan)
    sys.setrecursionlimit(RECURSION_MAX)
    try:
        query, engine = _prepared(work.folder, plan)
        return _written(work.folder, plan, query, engine.run(query.sql))
    except QueryRefused as error:
        raise _failed(error.message, NOT_SERVED) from error
    except EngineError as error:
        raise _failed(failure_message(str(error)), failure_kind(str(error))) from error


def _failed(message: str, kind: str) -> RowkeepError:
    """Returns the error of a query. Its message may quote values, so the log gets only its kind."""
    return RowkeepError(ErrorCode.INVALID_REQUEST, message, detail=kind)


def _translated(plan: QueryPlan) -> Translation:
    shapes: dict[str, TableShape] = {}
    for index, table in enumerate(plan.tables):
        shape = TableShape(f"v{index}", table.schema.variables, table.has_upload_name)
        shapes.update(dict.fromkeys(table.references, shape))
    given = plan.arguments.parameters
    parameters = Parameters(positional=given) if isinstance(given, list) else Parameters(named=given)
    now = datetime.datetime(1970, 1, 1) + datetime.timedelta(microseconds=plan.now)
    return translated(parse_query(plan.arguments.text), shapes, parameters, now)


def _prepared(folder: Path, plan: QueryPlan) -> tuple[Translation, QueryEngine]:
    """Returns a query in DuckDB's SQL, and an engine that holds only its tables."""
    if plan.arguments.filter is not None:
        [table] = plan.tables
        found = filtered(TableShape("v0", table.schema.variables), plan.arguments.filter)
        return found, _engine(folder, plan, found)
    if plan.arguments.dialect is Dialect.DUCKDB:
        return _prepared_by_duckdb(folder, plan)
    query = _translated(plan)
    return query, _engine(folder, plan, query)


def _prepared_by_duckdb(folder: Path, plan: QueryPlan) -> tuple[Translation, QueryEngine]:
    text = plan.arguments.text
    if plan.arguments.parameters:
        raise QueryRefused("`parameters` are for the BigQuery dialect; write the values into the query.")
    engine = _new_engine(folder, plan)
    tree = engine.parsed(text)
    checked_tree(text, tree)
    _fill(engine, folder, plan, "", has_geography=uses_geography(tree))
    views = {
        reference: f"d{index}" for index, table in enumerate(plan.tables) for reference in table.references
    }
    sql = engine.text_of(with_views(tree, views))
    return finished_duckdb(sql, engine.columns_of(sql)), engine


def _engine(folder: Path, plan: QueryPlan, query: Translation) -> QueryEngine:
    engine = _new_engine(folder, plan)
    _fill(engine, folder, plan, query.sql, has_geography="ST_" in query.sql)
    return engine


def _new_engine(folder: Path, plan: QueryPlan) -> QueryEngine:
    scratch = folder / _SCRATCH
    scratch.mkdir()
    memory = int(plan.memory_bytes_max * ENGINE_MEMORY_SHARE)
    return QueryEngine(scratch, memory_bytes_max=memory, threads=plan.threads)


def _fill(engine: QueryEngine, folder: Path, plan: QueryPlan, sql: str, *, has_geography: bool) -> None:
    """Gives an engine what a query needs, then locks it."""
    engine.add_functions_of(sql)
    if has_geography:
        engine.add_geography()
    with (folder / ENTRIES).open("rb") as entries:
        views = TableViews(engine, entries)
        for index, table in enumerate(plan.tables):
            views.add(f"v{index}", table)
            if plan.arguments.dialect is Dialect.DUCKDB:
                views.add_named(f"d{index}", f"v{index}", table)
    engine.lock()


def _written(
    folder: Path, plan: QueryPlan, query: Translation, batches: Iterator[pa.RecordBatch]
) -> QueryAnswer:
    schema = Schema(RESULT_SCHEMA_VERSION, query.variables)
    target = arrow_schema(schema)
    result_folder = folder / RESULT
    result_folder.mkdir()
    writer = _ResultWriter(result_folder, schema, plan)
    for batch in batches:
        writer.add(_as_variables(batch, target))
    return writer.finish(query)


def _as_variables(batch: pa.RecordBatch, target: pa.Schema) -> pa.RecordBatch:
    arrays = [
        column if column.type == field.type else column.cast(field.type)
        for column, field in zip(batch.columns, target, strict=True)
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=target)


class _ResultWriter:
    """Writes the rows of a result into a segment. The segment is made with the first of them."""

    def __init__(self, folder: Path, schema: Schema, plan: QueryPlan) -> None:
        self._folder = folder
        self._name = new_name(plan.result_upload_id, 0)
        self._file: HeldFile | None = None
        self._schema = schema
        self._plan = plan
        self._sink: CheckedSink | None = None
        self._writer: SegmentWriter | None = None
        self._row_count = self._byte_count = 0

    def add(self, batch: pa.RecordBatch) -> None:
        """Adds rows. Raises invalid_request_error when the result becomes too large."""
        if not len(batch):
            return
        self._byte_count += batch.nbytes
        if self._byte_count > self._plan.result_bytes_max:
            mebibytes = self._plan.result_bytes_max // 1024**2
            raise invalid_request(
                f"The result has more than {mebibytes} MiB. Select fewer columns or rows, or aggregate."
            )
        if self._writer is None:
            self._file = HeldFile(partial(LocalSegments(self._folder, Disk()).put, self._name))
            self._sink = CheckedSink(self._file)
            self._writer = SegmentWriter(self._sink, self._schema, self._plan.result_upload_id, 0)
        for start in range(0, len(batch), self._writer.group_rows_max):
            self._writer.add_batch(batch.slice(start, self._writer.group_rows_max))
        self._row_count += len(batch)

    def finish(self, query: Translation) -> QueryAnswer:
        """Makes the written rows durable. Returns the answer."""
        result = QueryResult(query.variables, self._row_count, self._byte_count)
        if self._writer is None or self._sink is None or self._file is None:
            return QueryAnswer(result, None)
        self._writer.finish()
        checksums = self._sink.finish()
        self._file.keep()
        segment = Segment(
            upload_id=self._plan.result_upload_id,
            first_row=0,
            row_count=self._row_count,
            byte_count=self._byte_count,
            schema_version=self._schema.version,
            file_name=self._name,
            file_bytes=self._sink.byte_count,
            checksums=checksums,
        )
        return QueryAnswer(result, segment, self._file.content)
