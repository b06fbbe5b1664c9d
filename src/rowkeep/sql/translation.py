"""Translates a query of the BigQuery dialect to DuckDB's SQL, in one call.

The modules that translate register what they know when they are imported here.
"""

import datetime

import msgspec

from rowkeep.model.schema import Variable
from rowkeep.sql import aggregates, casts, date_calls, operators, text_calls
from rowkeep.sql.fragments import Context, Parameters, Relation
from rowkeep.sql.gate import ParsedQuery
from rowkeep.sql.output import Translation, finished
from rowkeep.sql.queries import query_relation
from rowkeep.sql.types import STRING, TYPE_OF_VARIABLE

UPLOAD_NAME = "_upload_name"
TRANSLATORS = (aggregates, casts, date_calls, operators, text_calls)


class TableShape(msgspec.Struct, frozen=True):
    """A table that a query may read. It is a view whose columns are its variables as c0, c1 and so on.

    An unreleased table has `_upload_name` behind them.
    """

    view: str
    variables: tuple[Variable, ...]
    has_upload_name: bool = False


def translated(
    parsed: ParsedQuery,
    tables: dict[str, TableShape],
    parameters: Parameters,
    now: datetime.datetime,
) -> Translation:
    """Returns a parsed query in DuckDB's SQL. `tables` are by their names in the query.

    Raises QueryRefused.
    """
    relations = {name: table_as_relation(shape) for name, shape in tables.items()}
    context = Context(parsed.text, relations, parameters, now, query_relation)
    return finished(context, parsed.root, query_relation(context, parsed.root, None))


def table_as_relation(shape: TableShape) -> Relation:
    """Returns a table as a query sees it."""
    names: list[str | None] = [variable.name for variable in shape.variables]
    types = [TYPE_OF_VARIABLE[variable.type] for variable in shape.variables]
    if shape.has_upload_name:
        names.append(UPLOAD_NAME)
        types.append(STRING)
    return Relation(f"SELECT * FROM {shape.view}", tuple(names), tuple(types))
