"""Aggregates and window functions.

An aggregate is a function that takes the window, if there is one, and gives the SQL: a result that is worked
on further, such as a sum that becomes an integer again, has the window inside.
"""

import re
from collections.abc import Callable
from typing import Any

import msgspec
from sqlglot import exp

from rowkeep.sql.calls import function_name, unknown_function
from rowkeep.sql.errors import refused
from rowkeep.sql.expressions import HANDLERS, as_type, handles, in_type, supertype, translate
from rowkeep.sql.fragments import Context, Fragment, Scope, cast_sql, filled, quoted
from rowkeep.sql.modifiers import Modifiers, modifiers_of, order_sql
from rowkeep.sql.signatures import matching, signatures
from rowkeep.sql.types import BOOL, FLOAT64, INT64, STRING, SqlType, array_of, duckdb_type, is_orderable

QUANTILES_MAX = 1_000
WINDOW_NAMES_MAX = 20


class Aggregate(msgspec.Struct):
    """The SQL of an aggregate. `sql` is a function that takes ` OVER (...)`, or an empty text."""

    sql: Callable[[str], str]
    type: SqlType


Builder = Callable[[Context, Scope, exp.Expr, Modifiers], Aggregate]
AGGREGATES: dict[str, Builder] = {}
WINDOW_ONLY: dict[str, Builder] = {}
_outer_cast = re.compile(r"(CAST\()(.*)( AS [A-Z0-9(),]+\))").fullmatch


def aggregates(*names: str) -> Callable[[Builder], Builder]:
    """Registers a function here as the builder of the named aggregates."""

    def register(builder: Builder) -> Builder:
        AGGREGATES.update(dict.fromkeys(names, builder))
        return builder

    return register


def windows(*names: str) -> Callable[[Builder], Builder]:
    """Registers the builder of the named functions, which need OVER."""

    def register(builder: Builder) -> Builder:
        WINDOW_ONLY.update(dict.fromkeys(names, builder))
        return builder

    return register


def aggregate_names() -> set[str]:
    """Returns every aggregate of the list and of this file."""
    listed = {name for name, lines in signatures().items() if lines[0].chapter == "Aggregates"}
    return listed | set(AGGREGATES)


def window_names() -> set[str]:
    """Returns every function that needs OVER."""
    return {name for name, lines in signatures().items() if lines[0].chapter == "Windows"} | set(WINDOW_ONLY)


def is_aggregate(node: exp.Expr) -> bool:
    """Returns whether a node is a call of an aggregate."""
    return isinstance(node, exp.Anonymous) and function_name(node) in aggregate_names()


def has_aggregate(node: exp.Expr) -> bool:
    """Returns whether an expression has an aggregate over the rows of this query."""
    waiting: list[Any] = [node]
    while waiting:
        found = waiting.pop()
        if isinstance(found, exp.Query | exp.Unnest):
            continue
        if isinstance(found, exp.Window):
            called = found.this
            waiting.extend(
                called.expressions if isinstance(called, exp.Anonymous) else called.this.expressions
            )
            waiting.extend(child for child in found.iter_expressions() if child is not called)
            continue
        if is_aggregate(found):
            return True
        waiting.extend(found.iter_expressions())
    return False


@handles("IgnoreNulls", "RespectNulls")
def _nulls(context: Context, scope: Scope, node: exp.Expr) -> Fragment:
    if not is_aggregate(node.this):
        raise refused(context.text, node, "IGNORE NULLS belongs to an aggregate or a window function.")
    return aggregate_call(context, scope, node, "")


_plain_call = HANDLERS["Anonymous"]


@handles("Anonymous")
def _call(context: Context, scope: Scope, node: exp.Anonymous) -> Fragment:
    if is_aggregate(node):
        return aggregate_call(context, scope, node, "")
    if function_name(node) in window_names():
        raise refused(context.text, node, f"{function_name(node)} needs OVER (...).")
    return _plain_call(context, scope, node)


def aggregate_call(context: Context, scope: Scope, node: exp.Expr, over: str) -> Fragment:
    """Returns a call of an aggregate, over a window if there is one."""
    if context.is_in_aggregate:
        raise refused(context.text, node, "An aggregate cannot stand within another; use a query in FROM.")
    if not over and scope.grouped is None:
        raise refused(
            context.text, node, "An aggregate cannot stand here; WHERE and ON come before grouping."
        )
    built = _built(context, scope, node, over)
    return Fragment(built.sql(over), built.type)


def _built(context: Context, scope: Scope, node: exp.Expr, over: str) -> Aggregate:
    called = node
    while isinstance(called, exp.IgnoreNulls | exp.RespectNulls):
        called = called.this
    name = function_name(called)
    builder = AGGREGATES.get(name) or (WINDOW_ONLY.get(name) if over else None)
    if builder is None and name not in aggregate_names() | (window_names() if over else set()):
        raise unknown_function(context, called, name)
    # Over a window, what is aggregated may itself be an aggregate of the grouped rows.
    context.is_in_aggregate = not over
    try:
        modifiers = modifiers_of(context, node)
        return (builder or _listed)(context, scope, called, modifiers)
    finally:
        context.is_in_aggregate = False


def _listed(context: Context, scope: Scope, node: exp.Expr, modifiers: Modifiers) -> Aggregate:
    """Returns an aggregate that is a line of the list."""
    name = function_name(node)
    if modifiers.order is not None or modifiers.limit is not None or modifiers.ignores_nulls is not None:
        raise refused(context.text, node, f"{name} takes no ORDER BY, LIMIT or NULLS.")
    arguments = [translate(context, scope, value) for value in modifiers.values]
    found = matching(signatures()[name], arguments)
    if found is None:
        types = ", ".join(str(argument.type) for argument in arguments)
        raise refused(
            context.text, node, f"{name}({types}) is not supported; docs/sql.md says for which types it is."
        )
    signature, types_, result = found
    parts = [in_type(context, node, part, type_) for part, type_ in zip(arguments, types_, strict=True)]
    sql = filled(signature.template, parts)
    if modifiers.is_distinct:
        sql = re.sub(r"^((?:CAST\()?\w+\()", r"\1DISTINCT ", sql)
    outer = _outer_cast(sql)
    if outer is not None:
        return Aggregate(lambda over: f"{outer[1]}{outer[2]}{over}{outer[3]}", result)
    return Aggregate(lambda over: f"{sql}{over}", result)


def one_value(
    context: Context, scope: Scope, node: exp.Expr, modifiers: Modifiers, *counts: int
) -> list[Fragment]:
    """Returns the values of a call, which must have one of these counts."""
    if len(modifiers.values) not in (counts or (1,)):
        wanted = " or ".join(map(str, counts or (1,)))
        raise refused(context.text, node, f"{function_name(node)} takes {wanted} arguments.")
    return [translate(context, scope, value) for value in modifiers.values]


@aggregates("COUNT")
def _count(context: Context, scope: Scope, node: exp.Expr, modifiers: Modifiers) -> Aggregate:
    if len(modifiers.values) == 1 and isinstance(modifiers.values[0], exp.Star):
        return Aggregate(lambda over: f"count(*){over}", INT64)
    [value] = one_value(context, scope, node, modifiers)
    distinct = "DISTINCT " if modifiers.is_distinct else ""
    return Aggregate(lambda over: f"count({distinct}{value.sql}){over}", INT64)


@aggregates("COUNTIF")
def _count_if(context: Context, scope: Scope, node: exp.Expr, modifiers: Modifiers) -> Aggregate:
    [value] = one_value(context, scope, node, modifiers)
    test = as_type(context, node, value, BOOL, "What COUNTIF counts")
    distinct = "DISTINCT " if modifiers.is_distinct else ""
    return Aggregate(lambda over: f"count({distinct}CASE WHEN {test} THEN TRUE END){over}", INT64)


@aggregates("MIN", "MAX")
def _extreme(context: Context, scope: Scope, node: exp.Expr, modifiers: Modifiers) -> Aggregate:
    [value] = one_value(context, scope, node, modifiers)
    name = function_name(node)
    if not is_orderable(value.type):
        raise refused(context.text, node, f"{name} needs values that have an order, not {value.type}.")
    if value.type == FLOAT64 and name == "MIN":
        nan = f"bool_or(isnan({value.sql}))"
        return Aggregate(
            lambda over: (
                f"(CASE WHEN {nan}{over} THEN CAST('nan' AS DOUBLE) ELSE min({value.sql}){over} END)"
            ),
            FLOAT64,
        )
    return Aggregate(lambda over: f"{name.lower()}({value.sql}){over}", value.type)


@aggregates("ARRAY_AGG")
def _array_agg(context: Context, scope: Scope, node: exp.Expr, modifiers: Modifiers) -> Aggregate:
    [value] = one_value(context, scope, node, modifiers)
    if value.type.element is not None:
        raise refused(context.text, node, "ARRAY_AGG cannot collect arrays; put each into a STRUCT.")
    order = order_sql(context, scope, modifiers.order)
    distinct = "DISTINCT " if modifiers.is_distinct else ""
    kept = f" FILTER (WHERE {value.sql} IS NOT NULL)" if modifiers.ignores_nulls else ""
    slice_ = "" if modifiers.limit is None else f"[1:{modifiers.limit}]"
    return Aggregate(
        lambda over: f"(list({distinct}{value.sql}{order}){kept}{over}){slice_}", array_of(value.type)
    )


@aggregates("STRING_AGG")
def _string_agg(context: Context, scope: Scope, node: exp.Expr, modifiers: Modifiers) -> Aggregate:
    values = one_value(context, scope, node, modifiers, 1, 2)
    text = as_type(context, node, values[0], STRING, "What STRING_AGG joins")
    separator = values[1].text if len(values) == 2 else ","
    if separator is None:
        raise refused(context.text, node, "The separator of STRING_AGG must be a literal text.")
    order = order_sql(context, scope, modifiers.order)
    distinct = "DISTINCT " if modifiers.is_distinct else ""
    slice_ = "" if modifiers.limit is None else f"[1:{modifiers.limit}]"
    kept = f"FILTER (WHERE {text} IS NOT NULL)"
    return Aggregate(
        lambda over: (
            f"array_to_string((list({distinct}{text}{order}) {kept}{over}){slice_}, {quoted(separator)})"
        ),
        STRING,
    )


@aggregates("APPROX_QUANTILES")
def _approx_quantiles(context: Context, scope: Scope, node: exp.Expr, modifiers: Modifiers) -> Aggregate:
    count = modifiers.values[1] if len(modifiers.values) == 2 else None
    if not isinstance(count, exp.Literal) or not 0 < int(count.this) <= QUANTILES_MAX:
        raise refused(
            context.text, node, f"APPROX_QUANTILES takes a value and a number from 1 to {QUANTILES_MAX}."
        )
    value = translate(context, scope, modifiers.values[0])
    parts = ", ".join(repr(index / int(count.this)) for index in range(int(count.this) + 1))
    distinct = "DISTINCT " if modifiers.is_distinct else ""
    type_ = array_of(value.type)
    return Aggregate(
        lambda over: f"CAST(quantile_disc({distinct}{value.sql}, [{parts}]){over} AS {duckdb_type(type_)})",
        type_,
    )


@aggregates("MAX_BY", "MIN_BY")
def _extreme_by(context: Context, scope: Scope, node: exp.Expr, modifiers: Modifiers) -> Aggregate:
    value, by = one_value(context, scope, node, modifiers, 2)
    called = "arg_max_null" if function_name(node) == "MAX_BY" else "arg_min_null"
    return Aggregate(lambda over: f"{called}({value.sql}, {by.sql}){over}", value.type)


@aggregates("CORR")
def _corr(context: Context, scope: Scope, node: exp.Expr, modifiers: Modifiers) -> Aggregate:
    """Returns the covariance over the root of both variances, since DuckDB's own CORR is less exact."""
    one, other = (
        as_type(context, node, value, FLOAT64, "What CORR compares")
        for value in one_value(context, scope, node, modifiers, 2)
    )
    variances = [
        f"var_pop(CASE WHEN {beside} IS NOT NULL THEN {value} END)"
        for value, beside in ((one, other), (other, one))
    ]
    return Aggregate(
        lambda over: f"(covar_pop({one}, {other}){over} / sqrt({variances[0]}{over} * {variances[1]}{over}))",
        FLOAT64,
    )


# Windows


@handles("Window")
def _window(context: Context, scope: Scope, node: exp.Window) -> Fragment:
    parts = _named_parts(context, scope, node)
    partition = [translate(context, scope, part).sql for part in parts.get("partition_by") or []]
    order = order_sql(context, scope, parts.get("order"))
    frame = _frame(context, node, parts.get("spec"), order)
    inner = f"PARTITION BY {', '.join(partition)}" if partition else ""
    over = f" OVER ({inner}{order}{frame})"
    return aggregate_call(context, scope, node.this, over)


def _named_parts(context: Context, scope: Scope, node: exp.Window) -> dict[str, Any]:
    """Returns the parts of a window, with those of the named window that it refers to."""
    parts = {part: value for part, value in node.args.items() if value}
    for _ in range(WINDOW_NAMES_MAX):
        name = parts.pop("alias", None)
        if name is None:
            return parts
        named = scope.windows.get(name.name.lower())
        if named is None:
            raise refused(context.text, node, f"There is no window {name.name}.")
        parts = {**{part: value for part, value in named.args.items() if value}, **parts}
        if named.args.get("alias"):
            parts["alias"] = named.args["alias"]
    raise refused(context.text, node, "The windows name each other in a circle.")


def _frame(context: Context, node: exp.Window, spec: exp.WindowSpec | None, order: str) -> str:
    if spec is None:
        return ""
    kind = str(spec.args.get("kind") or "ROWS").upper()
    start = _bound(context, node, spec.args.get("start"), spec.args.get("start_side"))
    end = _bound(context, node, spec.args.get("end") or "CURRENT ROW", spec.args.get("end_side"))
    if kind not in ("ROWS", "RANGE") or (kind == "RANGE" and order.count(",") and "CAST(" in start + end):
        raise refused(context.text, node, "RANGE with a distance is not supported over this ORDER BY.")
    return f" {kind} BETWEEN {start} AND {end}"


def _bound(context: Context, node: exp.Expr, value: Any, side: Any) -> str:
    side_text = str(side or "").upper()
    if isinstance(value, str):
        word = value.upper()
        return "CURRENT ROW" if word == "CURRENT ROW" else f"UNBOUNDED {side_text}"
    if isinstance(value, exp.Literal) and not value.is_string and str(value.this).isdigit():
        return f"CAST({value.this} AS BIGINT) {side_text}"
    raise refused(context.text, node, "A frame is bounded by whole numbers, CURRENT ROW or UNBOUNDED.")


@windows("LAG", "LEAD")
def _shift(context: Context, scope: Scope, node: exp.Expr, modifiers: Modifiers) -> Aggregate:
    values = one_value(context, scope, node, modifiers, 1, 2, 3)
    type_ = supertype(context, [node], [values[0], *values[2:]], function_name(node))
    parts = [in_type(context, node, values[0], type_)]
    if len(values) > 1:
        parts.append(as_type(context, node, values[1], INT64, "The distance"))
    if len(values) > 2:
        parts.append(in_type(context, node, values[2], type_))
    return Aggregate(lambda over: f"{function_name(node).lower()}({', '.join(parts)}){over}", type_)


@windows("FIRST_VALUE", "LAST_VALUE", "NTH_VALUE")
def _nth(context: Context, scope: Scope, node: exp.Expr, modifiers: Modifiers) -> Aggregate:
    name = function_name(node)
    values = one_value(context, scope, node, modifiers, 2 if name == "NTH_VALUE" else 1)
    parts = [values[0].sql]
    if name == "NTH_VALUE":
        parts.append(as_type(context, node, values[1], INT64, "The number"))
    nulls = " IGNORE NULLS" if modifiers.ignores_nulls else ""
    return Aggregate(lambda over: f"{name.lower()}({', '.join(parts)}{nulls}){over}", values[0].type)


@windows("PERCENTILE_CONT", "PERCENTILE_DISC")
def _percentile(context: Context, scope: Scope, node: exp.Expr, modifiers: Modifiers) -> Aggregate:
    value, share = one_value(context, scope, node, modifiers, 2)
    name = function_name(node)
    if not share.is_literal or share.type.name not in ("INT64", "FLOAT64"):
        raise refused(context.text, node, f"The share of {name} must be a literal from 0 to 1.")
    if modifiers.ignores_nulls is False:
        raise refused(context.text, node, f"{name} with RESPECT NULLS is not supported.")
    called, type_ = ("quantile_cont", FLOAT64) if name == "PERCENTILE_CONT" else ("quantile_disc", value.type)
    sql = as_type(context, node, value, type_, f"What {name} looks at")
    return Aggregate(lambda over: f"{called}({sql}, {cast_sql(share.sql, FLOAT64)}){over}", type_)
