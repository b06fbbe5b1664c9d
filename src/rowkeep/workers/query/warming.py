"""The first steps of every query's worker, done once by the process that workers are forked from.

The first call of a library looks things up, compiles and imports; a worker that does one query would pay for
that each time. Nothing here starts a thread or connects to DuckDB: neither would live through a fork.
"""

import datetime

import pyarrow as pa

from rowkeep.formats.arrow import arrow_schema
from rowkeep.formats.columns import columns_of
from rowkeep.model.decoding.strict import row_decoder
from rowkeep.model.queries import RESULT_SCHEMA_VERSION
from rowkeep.model.schema import Schema, Variable
from rowkeep.model.types import VariableType
from rowkeep.sql.fragments import Parameters
from rowkeep.sql.gate import parse_query
from rowkeep.sql.translation import TableShape, translated
from rowkeep.storage.segments.checked_file import CheckedSink
from rowkeep.storage.segments.parquet import SegmentWriter
from rowkeep.workers.query import running as running  # what the workers run, imported once for all

_VALUES = {
    VariableType.BOOLEAN: "true",
    VariableType.INTEGER: "1",
    VariableType.FLOAT: "1.5",
    VariableType.STRING: '"a"',
    VariableType.DATE: '"2026-01-01"',
    VariableType.DATE_TIME: '"2026-01-01T00:00:00"',
    VariableType.TIME: '"00:00:00"',
    VariableType.GEOGRAPHY: '"POINT(1 2)"',
}
_TEXT = (
    "SELECT string, COUNT(*), SUM(integer + 1), MAX(float) FROM `t` "
    "WHERE date >= DATE '2026-01-01' AND string LIKE 'a%' GROUP BY string ORDER BY 2 DESC LIMIT 10"
)


class _Nowhere:
    """A file that keeps nothing."""

    def write(self, data: memoryview) -> None:
        """Drops the data."""

    def keep(self) -> None:
        """Does nothing."""

    def discard(self) -> None:
        """Does nothing."""


def warm_up() -> None:
    """Translates a query, decodes a row of all types and writes it as a segment."""
    variables = tuple(Variable(type_.value, type_) for type_ in _VALUES)
    schema = Schema(RESULT_SCHEMA_VERSION, variables)
    shapes = {"t": TableShape("v0", variables)}
    translated(parse_query(_TEXT), shapes, Parameters(named={}), datetime.datetime(2026, 1, 1))
    fields = ", ".join(f'"{type_.value}": {value}' for type_, value in _VALUES.items())
    rows = row_decoder(schema).read(f'{{"rows": [{{{fields}}}]}}'.encode())
    arrays = [
        pa.array(column, type=field.type)
        for column, field in zip(columns_of(rows, schema, schema), arrow_schema(schema), strict=True)
    ]
    sink = CheckedSink(_Nowhere())
    writer = SegmentWriter(sink, schema, -1, 0)
    writer.add_batch(pa.RecordBatch.from_arrays(arrays, schema=arrow_schema(schema)))
    writer.finish()
    sink.finish()
