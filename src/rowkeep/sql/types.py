"""The types of the BigQuery dialect: their names, their implicit conversions, and their DuckDB types.

Every expression of a query has one of these types before anything runs. That is what keeps DuckDB's own
habits out: it would compare an integer with a text, divide integers to a fraction of its own kind or add
up integers to a wider type, and BigQuery would not.

`TIMESTAMP` is a moment; DuckDB holds it as a timestamp without a zone, in UTC. `DATETIME` is a reading of a
clock; DuckDB holds it in the same way. `GEOGRAPHY` is its WKT. Source: contract 5.
"""

import msgspec

from rowkeep.model.types import VariableType
from rowkeep.model.types.records import RECORDS


class SqlType(msgspec.Struct, frozen=True):
    """A type: `element` is an array's, `fields` are a struct's names (empty if none) and types."""

    name: str
    element: "SqlType | None" = None
    fields: tuple[tuple[str, "SqlType"], ...] = ()

    def __str__(self) -> str:
        if self.element is not None:
            return f"ARRAY<{self.element}>"
        if self.name == "STRUCT":
            return f"STRUCT<{', '.join(f'{name} {type_}'.strip() for name, type_ in self.fields)}>"
        return self.name


INT64 = SqlType("INT64")
FLOAT64 = SqlType("FLOAT64")
NUMERIC = SqlType("NUMERIC")
BOOL = SqlType("BOOL")
STRING = SqlType("STRING")
BYTES = SqlType("BYTES")
DATE = SqlType("DATE")
DATETIME = SqlType("DATETIME")
TIMESTAMP = SqlType("TIMESTAMP")
TIME = SqlType("TIME")
JSON = SqlType("JSON")
GEOGRAPHY = SqlType("GEOGRAPHY")
INTERVAL = SqlType("INTERVAL")
# What NULL is before something says which type it is to be.
UNTYPED = SqlType("NULL")

DUCKDB_TYPES = {
    "INT64": "BIGINT",
    "FLOAT64": "DOUBLE",
    "NUMERIC": "DECIMAL(38,9)",
    "BOOL": "BOOLEAN",
    "STRING": "VARCHAR",
    "BYTES": "BLOB",
    "DATE": "DATE",
    "DATETIME": "TIMESTAMP",
    "TIMESTAMP": "TIMESTAMP",
    "TIME": "TIME",
    "JSON": "VARCHAR",
    "GEOGRAPHY": "VARCHAR",
    "INTERVAL": "INTERVAL",
    "NULL": "BIGINT",
}
SCALARS = (INT64, FLOAT64, NUMERIC, BOOL, STRING, BYTES, DATE, DATETIME, TIMESTAMP, TIME, JSON, GEOGRAPHY)

TYPE_OF_VARIABLE = {
    type_: next(scalar for scalar in SCALARS if scalar.name == record.sql)
    for type_, record in RECORDS.items()
}
# What a column of a result becomes. What is not here becomes text (see output.py).
VARIABLE_OF_TYPE = {
    **{type_.name: variable for variable, type_ in TYPE_OF_VARIABLE.items()},
    "TIMESTAMP": VariableType.DATE_TIME,
    "NULL": VariableType.INTEGER,
}

# What a value of a type turns into where another is wanted, the nearest first.
_IMPLICIT = {
    "INT64": ("FLOAT64", "NUMERIC"),
    "NUMERIC": ("FLOAT64",),
    "DATE": ("DATETIME",),
}
# The same of a literal or a parameter.
_IMPLICIT_OF_LITERAL = {
    "STRING": ("DATE", "DATETIME", "TIME", "TIMESTAMP"),
    "FLOAT64": ("NUMERIC",),
}


def array_of(element: SqlType) -> SqlType:
    """Returns the type of an array."""
    return SqlType("ARRAY", element)


def duckdb_type(type_: SqlType) -> str:
    """Returns DuckDB's name of a type."""
    if type_.element is not None:
        return f"{duckdb_type(type_.element)}[]"
    if type_.name == "STRUCT":
        fields = (f"f{index} {duckdb_type(field)}" for index, (_, field) in enumerate(type_.fields))
        return f"STRUCT({', '.join(fields)})"
    return DUCKDB_TYPES[type_.name]


def distance(source: SqlType, target: SqlType, *, is_literal: bool) -> int | None:
    """Returns how far a type is from a wanted one: 0 is the type itself.

    Returns None when it does not turn into it unasked.
    """
    if source == target:
        return 0
    if source == UNTYPED:
        return 1
    if source.element is not None and target.element is not None:
        return 1 if is_literal and source.element == UNTYPED else None
    wider = _IMPLICIT.get(source.name, ())
    if is_literal:
        wider = (*wider, *_IMPLICIT_OF_LITERAL.get(source.name, ()))
    return wider.index(target.name) + 1 if target.name in wider else None


def is_number(type_: SqlType) -> bool:
    """Returns whether one can calculate with values of the type."""
    return type_.name in ("INT64", "NUMERIC", "FLOAT64")


def is_orderable(type_: SqlType) -> bool:
    """Returns whether values of the type can be sorted and compared."""
    return type_.element is None and type_.name not in ("STRUCT", "JSON", "GEOGRAPHY", "INTERVAL")
