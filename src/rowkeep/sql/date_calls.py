"""Calls of the functions of dates and times."""

from typing import Any

from sqlglot import exp

from rowkeep.sql.calls import calls, constant_text, function_name, listed_call
from rowkeep.sql.dates import (
    added,
    date_array,
    difference,
    formatted,
    last_day,
    need,
    now_sql,
    truncated,
)
from rowkeep.sql.errors import refused
from rowkeep.sql.expressions import as_type, translate
from rowkeep.sql.fragments import Context, Fragment, Scope, quoted
from rowkeep.sql.time_elements import UnknownElementError, check_elements
from rowkeep.sql.types import DATE, DATETIME, STRING, TIME, TIMESTAMP, array_of

_TYPES = {"DATE": DATE, "DATETIME": DATETIME, "TIMESTAMP": TIMESTAMP, "TIME": TIME}


@calls(*(f"{kind}_{word}" for kind in _TYPES for word in ("ADD", "SUB")))
def _add(context: Context, scope: Scope, node: exp.Expr, nodes: list[Any]) -> Fragment:
    return added(context, scope, node, function_name(node), nodes)


@calls(*(f"{kind}_DIFF" for kind in _TYPES))
def _diff(context: Context, scope: Scope, node: exp.Expr, nodes: list[Any]) -> Fragment:
    return difference(context, scope, node, function_name(node), nodes)


@calls(*(f"{kind}_TRUNC" for kind in _TYPES))
def _trunc(context: Context, scope: Scope, node: exp.Expr, nodes: list[Any]) -> Fragment:
    return truncated(context, scope, node, function_name(node), nodes)


@calls("LAST_DAY")
def _last_day(context: Context, scope: Scope, node: exp.Expr, nodes: list[Any]) -> Fragment:
    return last_day(context, scope, node, nodes)


@calls("CURRENT_DATE", "CURRENT_DATETIME", "CURRENT_TIME", "CURRENT_TIMESTAMP")
def _now(context: Context, scope: Scope, node: exp.Expr, nodes: list[Any]) -> Fragment:
    name = function_name(node)
    need(context, node, nodes, name, *((0,) if name == "CURRENT_TIMESTAMP" else (0, 1)))
    zone = as_type(context, node, translate(context, scope, nodes[0]), STRING, "A zone") if nodes else None
    return now_sql(context, name, zone)


@calls(*(f"FORMAT_{kind}" for kind in _TYPES))
def _format(context: Context, scope: Scope, node: exp.Expr, nodes: list[Any]) -> Fragment:
    name = function_name(node)
    type_ = _TYPES[name.removeprefix("FORMAT_")]
    need(context, node, nodes, name, *((2, 3) if type_ == TIMESTAMP else (2,)))
    elements = _elements(context, scope, node, nodes[0], is_parsed=False)
    value = Fragment(
        as_type(context, node, translate(context, scope, nodes[1]), type_, f"What {name} shows"), type_
    )
    zone = quoted("UTC")
    if len(nodes) == 3:
        zone = as_type(context, node, translate(context, scope, nodes[2]), STRING, "A zone")
    return formatted(value, elements, zone)


@calls(*(f"PARSE_{kind}" for kind in _TYPES))
def _parse(context: Context, scope: Scope, node: exp.Expr, nodes: list[Any]) -> Fragment:
    name = function_name(node)
    type_ = _TYPES[name.removeprefix("PARSE_")]
    need(context, node, nodes, name, 2)
    elements = _elements(context, scope, node, nodes[0], is_parsed=True)
    text = as_type(context, node, translate(context, scope, nodes[1]), STRING, f"What {name} reads")
    moment = f"make_timestamp(bq_parse_time({elements}, {text}))"
    cast = {"DATE": "DATE", "TIME": "TIME"}.get(type_.name)
    return Fragment(moment if cast is None else f"CAST({moment} AS {cast})", type_)


def _elements(context: Context, scope: Scope, node: exp.Expr, format_: exp.Expr, *, is_parsed: bool) -> str:
    text = constant_text(context, scope, format_, f"The format of {function_name(node)}")
    try:
        check_elements(text, is_parsed=is_parsed)
    except UnknownElementError as error:
        raise refused(context.text, node, f"The format element {error} is not supported.") from None
    return quoted(text)


@calls("GENERATE_DATE_ARRAY")
def _date_array(context: Context, scope: Scope, node: exp.Expr, nodes: list[Any]) -> Fragment:
    if len(nodes) == 2:
        return listed_call(context, scope, node, "GENERATE_DATE_ARRAY", nodes)
    return Fragment(date_array(context, scope, node, nodes), array_of(DATE))
