"""Filters: rows of one table by a condition, in an order, from an offset on, without writing a query.

`where` is a condition on variables: comparisons, IN, BETWEEN, LIKE, IS NULL, AND, OR, NOT, with literals
as in queries. `orderBy` lists variables, each with `asc` or `desc`; rows that are equal in it keep the order
that the table has. It is the queries' parser and translation, with fewer nodes.
"""

import datetime
import re

from sqlglot import exp

from rowkeep.model.nearness import listing, shortened, suggestion
from rowkeep.model.queries import RowFilter
from rowkeep.model.types import VariableType
from rowkeep.sql.errors import QueryRefused, refused
from rowkeep.sql.expressions import translate
from rowkeep.sql.fragments import Context, Fragment, Parameters, Relation, Scope, set_parts
from rowkeep.sql.gate import check_nodes, parsed_statement
from rowkeep.sql.modifiers import ordered_keys
from rowkeep.sql.operators import condition
from rowkeep.sql.output import Translation
from rowkeep.sql.queries import query_relation
from rowkeep.sql.translation import TableShape, table_as_relation

_PREFIX = "SELECT * FROM t WHERE "
_ALLOWED = frozenset(
    [
        "And",
        "Or",
        "Not",
        "Paren",
        "EQ",
        "NEQ",
        "GT",
        "GTE",
        "LT",
        "LTE",
        "In",
        "Between",
        "Is",
        "Like",
        "Neg",
        "Column",
        "Identifier",
        "Literal",
        "Boolean",
        "Null",
        "Cast",
        "DataType",
        "RawString",
    ]
)
_key_match = re.compile(
    r"\s*([A-Za-z_][A-Za-z0-9_]*)(?:\s+(asc|desc))?\s*", re.IGNORECASE | re.ASCII
).fullmatch


def filtered(shape: TableShape, asked: RowFilter) -> Translation:
    """Returns the rows that a filter asks for, in DuckDB's SQL. Raises QueryRefused."""
    relation = table_as_relation(shape)
    where = None if asked.where is None else _condition_node(asked.where)
    # Places in messages are those of the condition as it was sent.
    context = Context(asked.where or "", {}, Parameters(), datetime.datetime.min, query_relation)
    scope = Scope()
    scope.sources.append(relation.source("r", None))
    columns = _selected(scope, shape, asked)
    test = "TRUE" if where is None else condition(context, scope, where, "`where`")
    limit = "" if asked.rows_max is None else f" LIMIT {asked.rows_max}"
    tail = f"{limit} OFFSET {asked.offset}"
    variables = tuple(shape.variables[index] for index in columns)
    if asked.order_by is None:
        listed = ", ".join(f"r.c{index} AS c{place}" for place, index in enumerate(columns))
        return Translation(f"SELECT {listed} FROM ({relation.sql}) r WHERE {test}{tail}", variables)
    return Translation(_ordered(context, relation, shape, asked, test, columns) + tail, variables)


def _ordered(
    context: Context, relation: Relation, shape: TableShape, asked: RowFilter, test: str, columns: list[int]
) -> str:
    """Returns the rows sorted. Equal rows are sorted by their number in the table."""
    numbered = f"SELECT r.*, row_number() OVER () AS n FROM ({relation.sql}) r WHERE {test}"
    scope = Scope()
    scope.sources.append(relation.source("s", None))
    keys = [key for text in (asked.order_by or "").split(",") for key in _keys(context, scope, shape, text)]
    listed = ", ".join(f"s.c{index} AS c{place}" for place, index in enumerate(columns))
    return f"SELECT {listed} FROM ({numbered}) s ORDER BY {', '.join(keys)}, s.n"


def _keys(context: Context, scope: Scope, shape: TableShape, text: str) -> list[str]:
    match = _key_match(text)
    if match is None:
        raise QueryRefused(f"`orderBy` lists variables, each with asc or desc, not {text.strip()[:60]!r}.")
    index = _index(shape, match[1], "`orderBy`")
    if shape.variables[index].type is VariableType.GEOGRAPHY:
        raise QueryRefused(f"`orderBy` names {match[1]!r}, and geographies have no order.")
    is_descending = (match[2] or "").lower() == "desc"
    ordered = exp.Ordered(this=exp.column(match[1]), desc=is_descending, nulls_first=not is_descending)
    value: Fragment = translate(context, scope, ordered.this)
    return ordered_keys(context, ordered, value)


def _index(shape: TableShape, name: str, what: str) -> int:
    for index, variable in enumerate(shape.variables):
        if variable.name.lower() == name.lower():
            return index
    names = [variable.name for variable in shape.variables]
    known = suggestion(name, names) or f" There are: {listing(names)}."
    raise QueryRefused(f"{what} names {shortened(name)!r}, and there is no such variable.{known}")


def _selected(scope: Scope, shape: TableShape, asked: RowFilter) -> list[int]:
    del scope
    if asked.selected_variables is None:
        return list(range(len(shape.variables)))
    found = [_index(shape, name, "`selectedVariables`") for name in asked.selected_variables]
    if not found or len(set(found)) < len(found):
        raise QueryRefused("`selectedVariables` names variables, each once.")
    return found


def _condition_node(text: str) -> exp.Expr:
    """Returns the condition in a text that holds one condition and nothing else."""
    try:
        root = parsed_statement(_PREFIX + text)
    except QueryRefused as error:
        raise QueryRefused(f"`where` cannot be read: {_moved(error)}") from error
    if not isinstance(root, exp.Select) or set_parts(root) != {"expressions", "from_", "where"}:
        raise QueryRefused("`where` is one condition, without other clauses.")
    found: exp.Expr = root.args["where"].this
    for node in found.walk():
        if "start" in node.meta:
            node.meta["start"] = max(0, node.meta["start"] - len(_PREFIX))
    for node in found.walk():
        if type(node).__name__ not in _ALLOWED or node.args.get("query") or node.args.get("unnest"):
            raise refused(text, node, f"{type(node).__name__} is not possible in `where`; write a query.")
    check_nodes(text, found)
    return found


def _moved(error: QueryRefused) -> str:
    """Returns the message of an error without its place, which counts text that the caller did not send."""
    return error.message.split(": ", 1)[-1] if error.line is not None else error.message
