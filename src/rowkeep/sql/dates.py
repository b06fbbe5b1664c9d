"""Dates and times as BigQuery means them: parts, distances, beginnings, intervals, formats.

A week begins on Sunday unless it is said otherwise. A distance between dates counts the borders of the part
that lie between them; one between moments (TIMESTAMP_DIFF) counts whole intervals.
Source: BigQuery's reference of date and time functions.
"""

from typing import Any

from sqlglot import exp

from rowkeep.sql.errors import refused
from rowkeep.sql.expressions import as_type, handles, translate
from rowkeep.sql.fragments import Context, Fragment, Scope, quoted
from rowkeep.sql.types import DATE, DATETIME, INT64, STRING, TIME, TIMESTAMP, SqlType

WEEKDAYS = ("SUNDAY", "MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY")
MICROSECONDS = {
    "MICROSECOND": 1,
    "MILLISECOND": 1_000,
    "SECOND": 1_000_000,
    "MINUTE": 60_000_000,
    "HOUR": 3_600_000_000,
    "DAY": 86_400_000_000,
}
_MONTHS = {"MONTH": 1, "QUARTER": 3, "YEAR": 12}
_OF_TIME = ("MICROSECOND", "MILLISECOND", "SECOND", "MINUTE", "HOUR")
_OF_DATE = ("DAY", "WEEK", "ISOWEEK", "MONTH", "QUARTER", "YEAR", "ISOYEAR")


def part_of(context: Context, node: exp.Expr, allowed: tuple[str, ...]) -> tuple[str, int]:
    """Returns a part such as DAY or WEEK(MONDAY), and the day on which weeks begin (Sunday is 0)."""
    if isinstance(node, exp.Anonymous) and str(node.this).upper() == "WEEK" and len(node.expressions) == 1:
        name, day = "WEEK", node.expressions[0].name.upper()
        if day not in WEEKDAYS:
            raise refused(context.text, node, f"WEEK({day}) is no week: a weekday is expected.")
    else:
        name, day = node.name.upper(), "SUNDAY"
    if name == "ISOWEEK":
        day = "MONDAY"
    if name not in allowed:
        raise refused(context.text, node, f"{name} is not possible here; possible are {', '.join(allowed)}.")
    return ("WEEK" if name == "ISOWEEK" else name), WEEKDAYS.index(day)


def interval_sql(context: Context, scope: Scope, node: exp.Expr, sign: str, allowed: tuple[str, ...]) -> str:
    """Returns `INTERVAL amount part` in DuckDB's SQL, to be added."""
    if not isinstance(node, exp.Interval) or node.args.get("unit") is None:
        raise refused(context.text, node, "INTERVAL is expected here, such as INTERVAL 3 DAY.")
    part, _ = part_of(context, node.args["unit"], allowed)
    amount_node = node.this
    if isinstance(amount_node, exp.Literal) and amount_node.is_string:
        amount_node = exp.Literal.number(amount_node.this)
    amount = as_type(
        context, node, translate(context, scope, amount_node), INT64, "The amount of an INTERVAL"
    )
    signed = amount if sign == "+" else f"(-{amount})"
    if part in _MONTHS:
        return f"to_months(CAST({signed} * {_MONTHS[part]} AS INTEGER))"
    if part in ("DAY", "WEEK"):
        return f"to_days(CAST({signed} * {7 if part == 'WEEK' else 1} AS INTEGER))"
    return f"to_microseconds({signed} * {MICROSECONDS[part]})"


def with_interval(context: Context, scope: Scope, node: exp.Binary, sign: str) -> Fragment:
    """Returns `date + INTERVAL ...`. A date becomes a DATETIME."""
    value = translate(context, scope, node.this)
    if value.type == TIMESTAMP:
        allowed: tuple[str, ...] = (*_OF_TIME, "DAY")
    elif value.type in (DATE, DATETIME):
        allowed = (*_OF_TIME, "DAY", "WEEK", "MONTH", "QUARTER", "YEAR")
    else:
        raise refused(context.text, node, f"An INTERVAL is added to a date or time, not to {value.type}.")
    added = interval_sql(context, scope, node.expression, sign, allowed)
    type_ = TIMESTAMP if value.type == TIMESTAMP else DATETIME
    return Fragment(f"bq_moment(CAST({value.sql} AS TIMESTAMP) + {added})", type_)


_ADDED: dict[str, tuple[SqlType, tuple[str, ...]]] = {
    "DATE": (DATE, ("DAY", "WEEK", "MONTH", "QUARTER", "YEAR")),
    "DATETIME": (DATETIME, (*_OF_TIME, "DAY", "WEEK", "MONTH", "QUARTER", "YEAR")),
    "TIMESTAMP": (TIMESTAMP, (*_OF_TIME, "DAY")),
    "TIME": (TIME, _OF_TIME),
}


def added(context: Context, scope: Scope, node: exp.Expr, name: str, nodes: list[Any]) -> Fragment:
    """Returns DATE_ADD, TIME_SUB and similar calls."""
    kind, _, direction = name.partition("_")
    type_, allowed = _ADDED[kind]
    need(context, node, nodes, name, 2)
    value = as_type(context, node, translate(context, scope, nodes[0]), type_, f"What {name} starts from")
    interval = interval_sql(context, scope, nodes[1], "+" if direction == "ADD" else "-", allowed)
    wrapped = {"DATE": "bq_date({})", "TIME": "({})"}.get(kind, "bq_moment({})")
    return Fragment(wrapped.format(f"{value} + {interval}"), type_)


def need(context: Context, node: exp.Expr, nodes: list[Any], name: str, *counts: int) -> None:
    """Raises QueryRefused unless a call has one of these counts of arguments."""
    if len(nodes) not in counts:
        wanted = " or ".join(map(str, counts))
        raise refused(context.text, node, f"{name} takes {wanted} arguments, and this call has {len(nodes)}.")


def difference(context: Context, scope: Scope, node: exp.Expr, name: str, nodes: list[Any]) -> Fragment:
    """Returns DATE_DIFF and similar calls: the first minus the second."""
    kind = name.partition("_")[0]
    allowed = {
        "DATE": _OF_DATE,
        "DATETIME": (*_OF_TIME, *_OF_DATE),
        "TIMESTAMP": (*_OF_TIME, "DAY"),
        "TIME": _OF_TIME,
    }[kind]
    need(context, node, nodes, name, 3)
    type_ = _ADDED[kind][0]
    end, start = (
        as_type(context, node, translate(context, scope, value), type_, f"What {name} compares")
        for value in nodes[:2]
    )
    part, weekday = part_of(context, nodes[2], allowed)
    if kind == "TIMESTAMP":
        sql = f"((epoch_us({end}) - epoch_us({start})) // {MICROSECONDS[part]})"
    elif part in _OF_TIME:
        sql = f"datediff('{part.lower()}', {start}, {end})"
    elif part == "WEEK":
        shift = (4 - weekday) % 7
        sql = f"(bq_week(CAST({end} AS DATE), {shift}) - bq_week(CAST({start} AS DATE), {shift}))"
    elif part == "ISOYEAR":
        sql = f"(isoyear({end}) - isoyear({start}))"
    else:
        sql = f"datediff('{part.lower()}', CAST({start} AS DATE), CAST({end} AS DATE))"
    return Fragment(f"CAST({sql} AS BIGINT)", INT64)


def truncated_date(sql: str, part: str, weekday: int) -> str:
    """Returns the first day of the part that a date is in."""
    if part == "DAY":
        return f"CAST({sql} AS DATE)"
    if part == "WEEK":
        return f"(CAST({sql} AS DATE) - ((CAST(dayofweek({sql}) AS INTEGER) + {7 - weekday}) % 7))"
    if part == "ISOYEAR":
        return f"CAST(date_trunc('week', make_date(CAST(isoyear({sql}) AS BIGINT), 1, 4)) AS DATE)"
    return f"CAST(date_trunc('{part.lower()}', {sql}) AS DATE)"


def truncated(context: Context, scope: Scope, node: exp.Expr, name: str, nodes: list[Any]) -> Fragment:
    """Returns DATE_TRUNC and similar calls."""
    kind = name.partition("_")[0]
    need(context, node, nodes, name, *((2, 3) if kind == "TIMESTAMP" else (2,)))
    value = translate(context, scope, nodes[0])
    type_ = value.type if kind == "DATE" and value.type in (DATETIME, TIMESTAMP) else _ADDED[kind][0]
    sql = as_type(context, node, value, type_, f"What {name} shortens")
    part, weekday = part_of(context, nodes[1], _truncations(type_))
    zone = (
        as_type(context, node, translate(context, scope, nodes[2]), STRING, "A zone")
        if len(nodes) > 2
        else None
    )
    local = sql if zone is None else f"timezone({zone}, timezone('UTC', {sql}))"
    if type_ == TIME:
        unit = MICROSECONDS[part]
        return Fragment(f"(TIME '00:00:00' + to_microseconds((epoch_us({sql}) // {unit}) * {unit}))", TIME)
    if part in _OF_TIME:
        made = f"date_trunc('{part.lower()}s', {local})"
    else:
        made = truncated_date(local, part, weekday)
    if type_ == DATE:
        return Fragment(made, DATE)
    moment = f"CAST({made} AS TIMESTAMP)"
    return Fragment(moment if zone is None else f"timezone('UTC', timezone({zone}, {moment}))", type_)


def _truncations(type_: SqlType) -> tuple[str, ...]:
    if type_ == TIME:
        return _OF_TIME
    return _OF_DATE if type_ == DATE else (*_OF_TIME, *_OF_DATE)


def last_day(context: Context, scope: Scope, node: exp.Expr, nodes: list[Any]) -> Fragment:
    """Returns LAST_DAY(date[, part])."""
    need(context, node, nodes, "LAST_DAY", 1, 2)
    value = translate(context, scope, nodes[0])
    type_ = DATETIME if value.type == DATETIME else DATE
    sql = f"CAST({as_type(context, node, value, type_, 'What LAST_DAY asks about')} AS DATE)"
    part, weekday = part_of(context, nodes[1], _OF_DATE[1:]) if len(nodes) > 1 else ("MONTH", 0)
    start = truncated_date(sql, part, weekday)
    if part == "WEEK":
        return Fragment(f"({start} + 6)", DATE)
    if part == "ISOYEAR":
        following = f"make_date(CAST(isoyear({sql}) AS BIGINT) + 1, 1, 4)"
        return Fragment(f"(CAST(date_trunc('week', {following}) AS DATE) - 1)", DATE)
    return Fragment(f"CAST({start} + to_months({_MONTHS[part]}) - to_days(1) AS DATE)", DATE)


_EXTRACTED = {
    "MICROSECOND": "(microsecond({0}) % 1000000)",
    "MILLISECOND": "((microsecond({0}) % 1000000) // 1000)",
    "SECOND": "second({0})",
    "MINUTE": "minute({0})",
    "HOUR": "hour({0})",
    "DAYOFWEEK": "(dayofweek({0}) + 1)",
    "DAY": "day({0})",
    "DAYOFYEAR": "dayofyear({0})",
    "MONTH": "month({0})",
    "QUARTER": "quarter({0})",
    "YEAR": "year({0})",
    "ISOYEAR": "isoyear({0})",
}
_EXTRACTED_TYPES = {"DATE": DATE, "TIME": TIME, "DATETIME": DATETIME}


@handles("Extract")
def _extract(context: Context, scope: Scope, node: exp.Extract) -> Fragment:
    source, zone = node.expression, None
    if isinstance(source, exp.AtTimeZone):
        source, zone = source.this, source.args["zone"]
    value = translate(context, scope, source)
    if value.type not in (DATE, DATETIME, TIMESTAMP, TIME) or (zone is not None and value.type != TIMESTAMP):
        raise refused(
            context.text, node, f"EXTRACT reads dates and times (a zone: a TIMESTAMP's), not {value.type}."
        )
    sql = value.sql
    if zone is not None:
        zone_sql = as_type(context, node, translate(context, scope, zone), STRING, "A zone")
        sql = f"timezone({zone_sql}, timezone('UTC', {sql}))"
    part_name = str(node.this.this if isinstance(node.this, exp.Anonymous) else node.this.name).upper()
    part, weekday = part_of(context, node.this, _extractable(value.type))
    if part in _EXTRACTED_TYPES:
        type_ = _EXTRACTED_TYPES[part]
        return Fragment(f"CAST({sql} AS {'TIMESTAMP' if part == 'DATETIME' else part})", type_)
    if part_name == "ISOWEEK":
        return Fragment(f"CAST(weekofyear({sql}) AS BIGINT)", INT64)
    if part == "WEEK":
        day = f"((dayofweek({sql}) + {7 - weekday}) % 7)"
        return Fragment(f"CAST((dayofyear({sql}) + 6 - {day}) // 7 AS BIGINT)", INT64)
    return Fragment(f"CAST({_EXTRACTED[part].format(sql)} AS BIGINT)", INT64)


def _extractable(type_: SqlType) -> tuple[str, ...]:
    of_date = ("DAYOFWEEK", "DAYOFYEAR", *_OF_DATE)
    if type_ == DATE:
        return of_date
    if type_ == TIME:
        return _OF_TIME
    return (*_OF_TIME, *of_date, "DATE", "TIME", *(("DATETIME",) if type_ == TIMESTAMP else ()))


def formatted(value: Fragment, elements: str, zone: str) -> Fragment:
    """Returns a date or time as text, by strftime's elements. `elements` and `zone` are SQL."""
    micros = f"epoch_us({value.sql})" if value.type != DATE else f"epoch_us(CAST({value.sql} AS TIMESTAMP))"
    if value.type != TIMESTAMP:
        return Fragment(f"bq_format_time({elements}, {micros}, 0, 'UTC')", STRING)
    local = f"epoch_us(timezone({zone}, timezone('UTC', {value.sql})))"
    offset = f"({local} - {micros}) // 1000000"
    return Fragment(f"bq_format_time({elements}, {local}, {offset}, {zone})", STRING)


def date_array(context: Context, scope: Scope, node: exp.Expr, nodes: list[Any]) -> str:
    """Returns GENERATE_DATE_ARRAY with a step."""
    need(context, node, nodes, "GENERATE_DATE_ARRAY", 3)
    start, end = (as_type(context, node, translate(context, scope, value), DATE) for value in nodes[:2])
    step = nodes[2]
    allowed = ("DAY", "WEEK", "MONTH", "QUARTER", "YEAR")
    sql = interval_sql(context, scope, step, "+", allowed)
    if (
        not isinstance(step.this, exp.Literal)
        or not str(step.this.this).isdigit()
        or int(step.this.this) == 0
    ):
        raise refused(context.text, node, "The step of GENERATE_DATE_ARRAY must be a literal above 0.")
    part, _ = part_of(context, step.args["unit"], allowed)
    if part in ("DAY", "WEEK"):
        return f"CAST(generate_series(CAST({start} AS TIMESTAMP), CAST({end} AS TIMESTAMP), {sql}) AS DATE[])"
    months = int(step.this.this) * _MONTHS[part]
    count = f"greatest(-1, datediff('month', {start}, {end}) // {months})"
    dates = (
        f"list_transform(generate_series(0, {count}), "
        f"lambda i: CAST({start} + to_months(CAST(i * {months} AS INTEGER)) AS DATE))"
    )
    return f"list_filter({dates}, lambda d: d <= {end})"


def now_sql(context: Context, kind: str, zone: str | None) -> Fragment:
    """Returns CURRENT_DATE and similar calls: the time at which the query began, in a zone."""
    moment = f"TIMESTAMP {quoted(context.now.isoformat(sep=' '))}"
    local = moment if zone is None else f"timezone({zone}, timezone('UTC', {moment}))"
    if kind == "CURRENT_TIMESTAMP":
        return Fragment(moment, TIMESTAMP, is_plain=True)
    if kind == "CURRENT_DATE":
        return Fragment(f"CAST({local} AS DATE)", DATE, is_plain=True)
    if kind == "CURRENT_TIME":
        return Fragment(f"CAST({local} AS TIME)", TIME, is_plain=True)
    return Fragment(local, DATETIME, is_plain=True)


@handles("CurrentDate", "CurrentDatetime", "CurrentTimestamp", "CurrentTime")
def _now(context: Context, scope: Scope, node: exp.Expr) -> Fragment:
    del scope
    name = type(node).__name__.removeprefix("Current").upper()
    return now_sql(context, f"CURRENT_{name}", None)
