"""The modifiers in the parentheses of an aggregate: DISTINCT, ORDER BY, LIMIT, nulls."""

from typing import Any

import msgspec
from sqlglot import exp

from rowkeep.sql.errors import refused
from rowkeep.sql.expressions import translate
from rowkeep.sql.fragments import Context, Fragment, Scope
from rowkeep.sql.types import FLOAT64, is_orderable


class Modifiers(msgspec.Struct):
    """The values and modifiers of an aggregate's call. `ignores_nulls` is None for the default."""

    values: list[Any] = []
    is_distinct: bool = False
    ignores_nulls: bool | None = None
    order: exp.Order | None = None
    limit: int | None = None


def modifiers_of(context: Context, node: exp.Expr) -> Modifiers:
    """Returns the values and modifiers of a call."""
    found = Modifiers()
    while isinstance(node, exp.IgnoreNulls | exp.RespectNulls):
        found.ignores_nulls = isinstance(node, exp.IgnoreNulls)
        node = node.this
    for argument in node.expressions:
        _take(context, found, argument)
    return found


def _take(context: Context, found: Modifiers, node: exp.Expr) -> None:
    if isinstance(node, exp.Limit):
        count = node.expression
        if not isinstance(count, exp.Literal) or count.is_string or not str(count.this).isdigit():
            raise refused(context.text, node, "LIMIT in an aggregate is a number.")
        found.limit = int(count.this)
        _take(context, found, node.this)
    elif isinstance(node, exp.Order):
        found.order = node
        _take(context, found, node.this)
    elif isinstance(node, exp.IgnoreNulls | exp.RespectNulls):
        found.ignores_nulls = isinstance(node, exp.IgnoreNulls)
        _take(context, found, node.this)
    elif isinstance(node, exp.Distinct):
        found.is_distinct = True
        found.values.extend(node.expressions)
    else:
        found.values.append(node)


def order_sql(context: Context, scope: Scope, order: exp.Order | None) -> str:
    """Returns ORDER BY in DuckDB's SQL, empty without one."""
    if order is None:
        return ""
    keys = [key for ordered in order.expressions for key in _keys(context, scope, ordered)]
    return f" ORDER BY {', '.join(keys)}"


def _keys(context: Context, scope: Scope, ordered: exp.Expr) -> list[str]:
    if not isinstance(ordered, exp.Ordered):
        return _sorted(context, ordered, translate(context, scope, ordered), "ASC", nulls_first=True)
    value = translate(context, scope, ordered.this)
    return ordered_keys(context, ordered, value)


def ordered_keys(context: Context, ordered: exp.Ordered, value: Fragment) -> list[str]:
    """Returns the sort keys of one expression of ORDER BY."""
    direction = "DESC" if ordered.args.get("desc") else "ASC"
    return _sorted(context, ordered, value, direction, nulls_first=bool(ordered.args.get("nulls_first")))


def _sorted(
    context: Context, node: exp.Expr, value: Fragment, direction: str, *, nulls_first: bool
) -> list[str]:
    """Returns sort keys:

    NaN comes before all numbers, and NULL before NaN unless the query says otherwise.
    """
    if not is_orderable(value.type):
        raise refused(context.text, node, f"Values of type {value.type} have no order.")
    if value.type == FLOAT64 and not value.is_literal:
        # Ranks in the direction of sorting: NaN before the numbers, NULL where it is wanted.
        null_rank = 0 if nulls_first is (direction == "ASC") else 3
        tests = f"WHEN {value.sql} IS NULL THEN {null_rank} WHEN isnan({value.sql}) THEN 1"
        rank = f"CASE {tests} ELSE 2 END"
        return [f"{rank} {direction}", f"{value.sql} {direction}"]
    return [f"{value.sql} {direction} NULLS {'FIRST' if nulls_first else 'LAST'}"]
