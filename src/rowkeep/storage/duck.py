"""Statistics by DuckDB. The only file that knows duckdb.

A computation reads its rows as any reader does, step by step on short snapshots, and keeps the one column
in a database of its own that spills to a folder when it outgrows its memory. It runs in a thread: DuckDB
lets the interpreter go while it works. Nothing of it outlives the computation.
"""

import asyncio
import math
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import duckdb

from rowkeep.formats.arrow import ColumnMeasures
from rowkeep.formats.columns import text_of
from rowkeep.model.resources import ReadFormat, ReadStream
from rowkeep.model.statistics import Statistics
from rowkeep.model.types import VariableType
from rowkeep.model.types.records import RECORDS
from rowkeep.storage.base import Database
from rowkeep.storage.doors import read_snapshot
from rowkeep.storage.engines import RowReadings
from rowkeep.storage.local_files import SPILL_PREFIX
from rowkeep.storage.statements import load_statements

FREQUENCIES_MAX = 1_000
_SETTINGS: dict[str, str | bool | int | float | list[str]] = {
    "threads": 1,
    "memory_limit": "256MB",
    "autoinstall_known_extensions": False,  # nothing is ever downloaded
    "autoload_known_extensions": False,
}
_COMPUTATIONS_MAX = 2
_US_PER_MS = 1_000


class DuckStatistics:
    """Computes statistics, a few at a time."""

    def __init__(self, database: Database, spill: Path, readings: RowReadings) -> None:
        self._database = database
        self._spill = spill
        self._readings = readings
        self._statements = load_statements("duckdb")
        self._threads = ThreadPoolExecutor(_COMPUTATIONS_MAX, thread_name_prefix="rowkeep-statistics")

    async def compute(self, stream: ReadStream) -> Statistics:
        """Returns the statistics of a stream of one variable.

        Raises not_found_error when its rows are gone.
        """
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._compute, stream)

    def close(self) -> None:
        """Ends the threads. Computations that wait are dropped."""
        self._threads.shutdown(cancel_futures=True)

    def _compute(self, stream: ReadStream) -> Statistics:
        type_ = stream.schema.variables[0].type
        measures = ColumnMeasures(self._parts(stream), type_)
        with (
            tempfile.TemporaryDirectory(dir=self._spill, prefix=SPILL_PREFIX) as folder,
            duckdb.connect(":memory:", config={**_SETTINGS, "temp_directory": folder}) as connection,
        ):
            connection.register("batches", measures.reader)
            connection.execute(self._statements["keep_measured"])
            return self._summary(connection, measures, type_)

    def _parts(self, stream: ReadStream) -> Iterator[bytes]:
        """Yields the stream as Arrow, a part at a time."""
        arrow = ReadStream(
            stream.identifier,
            stream.user_id,
            stream.scope,
            stream.expires_at,
            ReadFormat.ARROW,
            stream.schema,
            stream.slices,
        )
        reading = self._readings(arrow, offset=0, with_sentinel=False)
        while (part := read_snapshot(self._database, reading.step)) is not None:
            yield part

    def _summary(
        self, connection: duckdb.DuckDBPyConnection, measures: ColumnMeasures, type_: VariableType
    ) -> Statistics:
        found = self._record(connection, "measured_range")
        low, high = found["minimum"], found["maximum"]
        scale = 1.0 if low is None else max(abs(float(low)), abs(float(high))) or 1.0
        moments = self._record(connection, "measured_moments", scale=scale)
        if not RECORDS[type_].has_deviation:
            moments["standard_deviation"] = None
        unit = _US_PER_MS if RECORDS[type_].is_temporal else 1
        figures = {name: _in_unit(value, unit) for name, value in {**moments, **_range(found)}.items()}
        return Statistics(
            count=found["count"],
            distinct_count=found["distinct_count"],
            **figures,
            frequencies=self._frequencies(connection, found["distinct_count"], type_),
            centroid=measures.centroid,
            bounding_box=measures.bounding_box,
        )

    def _frequencies(
        self, connection: duckdb.DuckDBPyConnection, distinct_count: int, type_: VariableType
    ) -> tuple[tuple[str, int], ...] | None:
        if not RECORDS[type_].has_frequencies or distinct_count > FREQUENCIES_MAX:
            return None
        rows = connection.execute(
            self._statements["measured_frequencies"], {"count_max": FREQUENCIES_MAX}
        ).fetchall()
        return tuple((text_of(value), count) for value, count in rows)

    def _record(
        self, connection: duckdb.DuckDBPyConnection, statement: str, **parameters: object
    ) -> dict[str, Any]:
        cursor = connection.execute(self._statements[statement], parameters or None)
        row = cursor.fetchone()
        assert row is not None
        return dict(zip((column[0] for column in cursor.description), row, strict=True))


def _range(found: dict[str, Any]) -> dict[str, Any]:
    return {"minimum": found["minimum"], "maximum": found["maximum"]}


def _in_unit(value: Any, unit: int) -> Any:
    """Returns a figure in another unit.

    Whole numbers stay whole where they can; a non-number becomes None.
    """
    if value is None or not math.isfinite(value):
        return None
    if unit == 1:
        return value
    return value // unit if value % unit == 0 else value / unit
