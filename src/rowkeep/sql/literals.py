"""Literal texts that turn into dates and times, and the values of parameters."""

import datetime
import math
import re

from sqlglot import exp

from rowkeep.model.types.text import parse_date, parse_date_time, parse_time
from rowkeep.sql.errors import refused
from rowkeep.sql.fragments import Context, Fragment, integer, null_of, quoted
from rowkeep.sql.types import BOOL, FLOAT64, STRING, UNTYPED, SqlType, array_of, duckdb_type

_EPOCH = datetime.datetime(1970, 1, 1)
_moment_match = re.compile(
    r"(\d{4}-\d{1,2}-\d{1,2}(?:[ Tt]\d{1,2}:\d{1,2}:\d{1,2}(?:\.\d{1,6})?)?)\s*(.*)", re.ASCII
).fullmatch
_offset_match = re.compile(r"(?:UTC)?([+-])(\d{1,2})(?::(\d{2}))?", re.ASCII | re.IGNORECASE).fullmatch
_zone_match = re.compile(r"[A-Za-z_]+(?:/[A-Za-z0-9_+-]+)*").fullmatch


def literal_text_in_type(context: Context, node: exp.Expr, text: str, type_: SqlType) -> str:
    """Returns a literal text as a date or time. Raises QueryRefused when it is not one."""
    try:
        if type_.name == "DATE":
            return f"DATE '{parse_date(text)}'"
        if type_.name == "DATETIME":
            return f"TIMESTAMP '{parse_date_time(text).isoformat(sep=' ')}'"
        if type_.name == "TIME":
            return f"TIME '{parse_time(text).isoformat()}'"
        return moment_sql(text)
    except (ValueError, OverflowError):
        raise refused(context.text, node, f"{text!r} is no {type_}.") from None


def moment_sql(text: str) -> str:
    """Returns a text, with or without a zone, as a moment. Raises ValueError."""
    reading, zone = _moment(text)
    sql = f"TIMESTAMP '{reading.isoformat(sep=' ')}'"
    if zone is None:
        return sql
    return f"timezone('UTC', timezone({quoted(zone)}, {sql}))"


def moment_micros(text: str) -> int:
    """Returns a moment in a text as microseconds since 1970. Raises ValueError, for names of zones too."""
    reading, zone = _moment(text)
    if zone is not None:
        raise ValueError(
            f"{text!r}: names of time zones are read in literals only; use TIMESTAMP(datetime, zone)."
        )
    delta = reading - _EPOCH
    return (delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds


def _moment(text: str) -> tuple[datetime.datetime, str | None]:
    """Returns a clock reading in UTC, or one with the name of its zone."""
    match = _moment_match(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is no TIMESTAMP.")
    reading = parse_date_time(match[1])
    zone = match[2]
    offset = _offset_match(zone)
    if zone in ("", "Z", "z") or zone.upper() == "UTC":
        return reading, None
    if offset is not None:
        minutes = int(offset[2]) * 60 + int(offset[3] or 0)
        if minutes > 14 * 60:
            raise ValueError(f"{text!r} is no TIMESTAMP.")
        return reading - datetime.timedelta(minutes=minutes if offset[1] == "+" else -minutes), None
    if _zone_match(zone) is None:
        raise ValueError(f"{text!r} is no TIMESTAMP.")
    return reading, zone


def parameter_value(context: Context, node: exp.Expr) -> Fragment:
    """Returns the value of `@name` or of the next `?`."""
    if isinstance(node, exp.Placeholder):
        return value_literal(context, node, _positional(context, node))
    name = node.name
    for given, value in context.parameters.named.items():
        if given.lower() == name.lower():
            return value_literal(context, node, value)
    raise refused(context.text, node, f"The query names @{name}, and `parameters` has no value for it.")


def _positional(context: Context, node: exp.Expr) -> object:
    root = node.root()
    order = sorted(root.find_all(exp.Placeholder), key=lambda found: int(found.meta.get("start", 0)))
    index = next(index for index, found in enumerate(order) if found is node)
    if index >= len(context.parameters.positional):
        raise refused(context.text, node, f"The query has {len(order)} `?`, and `parameters` fewer values.")
    return context.parameters.positional[index]


def value_literal(context: Context, node: exp.Expr, value: object) -> Fragment:
    """Returns a value from JSON as a literal. Raises QueryRefused for one that has no type here."""
    if value is None:
        return Fragment(null_of(UNTYPED), UNTYPED, is_literal=True, is_plain=True)
    if isinstance(value, bool):
        return Fragment("TRUE" if value else "FALSE", BOOL, is_plain=True)
    if isinstance(value, int) and -(2**63) <= value < 2**63:
        return integer(value)
    if isinstance(value, float) and math.isfinite(value):
        return Fragment(f"CAST('{value!r}' AS DOUBLE)", FLOAT64, is_literal=True, is_plain=True)
    if isinstance(value, str):
        return Fragment(quoted(value), STRING, is_literal=True, is_plain=True, text=value)
    if isinstance(value, list):
        return _array_literal(context, node, value)
    raise refused(
        context.text, node, "A parameter is a number, a text, a boolean, null, or an array of those."
    )


def _array_literal(context: Context, node: exp.Expr, value: list[object]) -> Fragment:
    elements = [value_literal(context, node, element) for element in value]
    types = dict.fromkeys(element.type for element in elements if element.type != UNTYPED)
    if len(types) > 1 or any(type_.element is not None for type_ in types):
        raise refused(context.text, node, "The elements of an array parameter must be of one type.")
    type_ = next(iter(types), STRING)
    parts = ", ".join(null_of(type_) if element.type == UNTYPED else element.sql for element in elements)
    sql = f"CAST([{parts}] AS {duckdb_type(array_of(type_))})"
    return Fragment(sql, array_of(type_), is_plain=True)
