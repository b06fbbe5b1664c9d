"""The output of a query in DuckDB's dialect: its columns as variables of the eight types."""

import re
from collections import Counter
from collections.abc import Callable

from rowkeep.model.schema import VARIABLES_MAX, Variable
from rowkeep.model.types import VariableType
from rowkeep.sql.errors import QueryRefused
from rowkeep.sql.output import Translation

_KINDS = {
    "VARCHAR": VariableType.STRING,
    "BIGINT": VariableType.INTEGER,
    "DOUBLE": VariableType.FLOAT,
    "BOOLEAN": VariableType.BOOLEAN,
    "DATE": VariableType.DATE,
    "TIMESTAMP": VariableType.DATE_TIME,
    "TIME": VariableType.TIME,
}
_INTEGERS = frozenset(
    ["TINYINT", "SMALLINT", "INTEGER", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "HUGEINT", "UHUGEINT"]
)
_TIMESTAMPS = frozenset(["TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS"])
_TEXTS = frozenset(["UUID", "INTERVAL", "BIT", "BIGNUM", "JSON"])
# Which types, what they become, and how.
_CONVERSIONS: list[tuple[Callable[[str], object], VariableType, str]] = [
    (_INTEGERS.__contains__, VariableType.INTEGER, "CAST({} AS BIGINT)"),
    (re.compile(r"DECIMAL\(\d+,0\)").fullmatch, VariableType.INTEGER, "CAST({} AS BIGINT)"),
    (re.compile(r"FLOAT|DECIMAL\(.*\)").fullmatch, VariableType.FLOAT, "CAST({} AS DOUBLE)"),
    ("TIMESTAMP WITH TIME ZONE".__eq__, VariableType.DATE_TIME, "timezone('UTC', {})"),
    (_TIMESTAMPS.__contains__, VariableType.DATE_TIME, "CAST({} AS TIMESTAMP)"),
    (_TEXTS.__contains__, VariableType.STRING, "CAST({} AS VARCHAR)"),
    (re.compile(r"ENUM.*").fullmatch, VariableType.STRING, "CAST({} AS VARCHAR)"),
    ('"NULL"'.__eq__, VariableType.INTEGER, "CAST({} AS BIGINT)"),
    (re.compile(r"GEOMETRY.*").fullmatch, VariableType.GEOGRAPHY, "ST_AsText({})"),
    (
        re.compile(r".*\]|(?:STRUCT|MAP)\(.*", re.DOTALL).fullmatch,
        VariableType.STRING,
        "CAST(to_json({}) AS VARCHAR)",
    ),
]
_REFUSED = {"BLOB": "base64(x) or hex(x)", "TIME WITH TIME ZONE": "CAST(x AS TIME)"}
_other = re.compile(r"\W+", re.ASCII)


def finished_duckdb(sql: str, columns: list[tuple[str, str]]) -> Translation:
    """Returns a query with its columns (names and DuckDB types) as output. Raises QueryRefused."""
    if len(columns) > VARIABLES_MAX:
        raise QueryRefused(f"A result has at most {VARIABLES_MAX:,} columns.")
    names = _names([name for name, _ in columns])
    parts, variables = [], []
    for index, (name, (_, type_)) in enumerate(zip(names, columns, strict=True)):
        kind, part = _converted(f"q.c{index}", type_, name)
        parts.append(f"{part} AS c{index}")
        variables.append(Variable(name, kind))
    aliases = ", ".join(f"c{index}" for index in range(len(columns)))
    return Translation(f"SELECT {', '.join(parts)} FROM ({sql}) AS q({aliases})", tuple(variables))


def _names(given: list[str]) -> list[str]:
    """Returns names that variables can have: any other character becomes `_`."""
    names = []
    for index, name in enumerate(given):
        made = _other.sub("_", name).strip("_") if _other.search(name) else name
        names.append(made if made and not made[0].isdigit() else f"f{index}_")
    counts = Counter(name.lower() for name in names)
    doubled = sorted({name for name in names if counts[name.lower()] > 1})
    if doubled:
        raise QueryRefused(
            f"The result has columns of the same name: {', '.join(doubled)}. Name them with AS."
        )
    return names


def _converted(sql: str, type_: str, name: str) -> tuple[VariableType, str]:
    kind = _KINDS.get(type_)
    if kind is not None:
        return kind, sql
    for matches, kind, template in _CONVERSIONS:
        if matches(type_):
            return kind, template.format(sql)
    advice = _REFUSED.get(type_, "CAST(x AS VARCHAR)")
    raise QueryRefused(f"The column {name} is of type {type_}, which a result cannot hold; use {advice}.")
