"""What leaves a query: its columns as variables of the eight types.

* the first column without a name is `f0_`, the next `f1_`, as BigQuery names them
* TIMESTAMP is a dateTime in UTC
* NUMERIC is a text with all its digits: a double would lose some
* ARRAY and STRUCT are JSON text; BYTES and INTERVAL are refused, with what to use instead
"""

from collections import Counter

import msgspec
from sqlglot import exp

from rowkeep.model.schema import VARIABLES_MAX, Variable
from rowkeep.model.types import VariableType
from rowkeep.sql.errors import refused
from rowkeep.sql.fragments import Context, Fragment, Relation
from rowkeep.sql.json_text import json_text
from rowkeep.sql.types import VARIABLE_OF_TYPE, SqlType

NAME_CHARACTERS_MAX = 300
_ADVICE = {"BYTES": "TO_BASE64 or TO_HEX", "INTERVAL": "DATE_DIFF and its kin"}


class Translation(msgspec.Struct, frozen=True):
    """A query in DuckDB's SQL. Its columns are c0, c1 and so on, and `variables` describes them."""

    sql: str
    variables: tuple[Variable, ...]


def finished(context: Context, node: exp.Expr, relation: Relation) -> Translation:
    """Returns the query with its columns as output. Raises QueryRefused."""
    names = _names(context, node, relation)
    name = context.new_name()
    parts = [_part(context, node, Fragment(f"{name}.c{i}", type_)) for i, type_ in enumerate(relation.types)]
    sql = relation.sql
    if any(changed for changed, _ in parts):
        columns = ", ".join(f"{part} AS c{index}" for index, (_, part) in enumerate(parts))
        sql = f"SELECT {columns} FROM ({relation.sql}) {name}"
    variables = tuple(
        Variable(label, VARIABLE_OF_TYPE.get(type_.name, VariableType.STRING))
        for label, type_ in zip(names, relation.types, strict=True)
    )
    return Translation(sql, variables)


def _names(context: Context, node: exp.Expr, relation: Relation) -> list[str]:
    if len(relation.names) > VARIABLES_MAX:
        raise refused(context.text, node, f"A result has at most {VARIABLES_MAX:,} columns.")
    names: list[str] = []
    anonymous = 0
    for name in relation.names:
        if not name:
            name = f"f{anonymous}_"
            anonymous += 1
        if len(name) > NAME_CHARACTERS_MAX or any(ord(character) < 32 for character in name):
            raise refused(context.text, node, "The name of a column is too long or has control characters.")
        names.append(name)
    counts = Counter(name.lower() for name in names)
    doubled = {name for name in names if counts[name.lower()] > 1}
    if doubled:
        listed = ", ".join(sorted(doubled))
        raise refused(
            context.text, node, f"The result has columns of the same name: {listed}. Name them with AS."
        )
    return names


def _part(context: Context, node: exp.Expr, value: Fragment) -> tuple[bool, str]:
    type_ = value.type
    if type_.name in _ADVICE:
        raise refused(context.text, node, f"A result cannot hold {type_}; use {_ADVICE[type_.name]}.")
    if type_.name == "NUMERIC":
        return True, f"bq_numeric_text(CAST({value.sql} AS VARCHAR))"
    if type_.element is not None:
        return True, _array_part(context, node, value)
    if type_.fields:
        return True, json_text(context, node, value)
    return False, value.sql


def _array_part(context: Context, node: exp.Expr, value: Fragment) -> str:
    """Returns an array as output: it has no NULL within, and a NULL array is empty."""
    nulls = f"len(list_filter({value.sql}, lambda x: x IS NULL)) > 0"
    message = "An array in a result cannot hold NULL; use IGNORE NULLS."
    return (
        f"(CASE WHEN {value.sql} IS NULL THEN '[]' WHEN {nulls} THEN error('{message}') "
        f"ELSE {json_text(context, node, value)} END)"
    )


def relation_types(
    variables: tuple[Variable, ...], types: dict[VariableType, SqlType]
) -> tuple[SqlType, ...]:
    """Returns the types of a table's columns in queries."""
    return tuple(types[variable.type] for variable in variables)
