"""Calls of functions of texts that need more than a line: patterns, FORMAT, JSON."""

import re
from collections.abc import Iterator
from typing import Any

from sqlglot import exp

from rowkeep.sql.calls import calls, constant_text, expect, function_name
from rowkeep.sql.casts import cast
from rowkeep.sql.errors import refused
from rowkeep.sql.expressions import as_type, in_type, translate
from rowkeep.sql.fragments import Context, Fragment, Scope, quoted
from rowkeep.sql.json_text import json_text
from rowkeep.sql.types import FLOAT64, INT64, STRING, UNTYPED, array_of

_json_path_match = re.compile(
    r"\$(?:\.[A-Za-z_][A-Za-z0-9_]*|\[\d+\]|\['[^'\\\]]+'\]|\.\"[^\"\\]+\")*"
).fullmatch
_json_step = re.compile(r"\.([A-Za-z_][A-Za-z0-9_]*)|\[(\d+)\]|\['([^'\\\]]+)'\]|\.\"([^\"\\]+)\"")
_format_element = re.compile(r"%([-+ #0']*)(\d*)(\.\d+)?([a-zA-Z%])")


# Patterns


def groups_of(pattern: str) -> tuple[int, bool]:
    """Returns how many groups a pattern captures, and whether the first may be missing in a match."""
    marks = list(_marks(pattern))
    opened: list[bool] = []
    count, start, end = 0, -1, len(pattern)
    for position, character in marks:
        if character == "(":
            captures = not pattern.startswith("(?", position) or pattern.startswith(("(?P<", "(?<"), position)
            count += captures
            start = position if captures and start < 0 else start
            opened.append(position == start)
        elif character == ")" and opened and opened.pop():
            end = position
    absent = any(
        (character == "|" and not start < position < end)
        or (character == ")" and position >= end and pattern[position + 1 :].startswith(("?", "*", "{0")))
        for position, character in marks
    )
    return count, count > 0 and absent


def _marks(pattern: str) -> Iterator[tuple[int, str]]:
    """Yields a pattern's parentheses and bars, without those in character classes or behind backslashes."""
    position, is_in_class = 0, False
    while position < len(pattern):
        character = pattern[position]
        if character == "\\":
            position += 1
        elif is_in_class:
            is_in_class = character != "]"
        elif character == "[":
            is_in_class = True
            position += len(re.match(r"\^?\]?", pattern[position + 1 :])[0])  # type: ignore[index]
        elif character in "()|":
            yield position, character
        position += 1


def _pattern(context: Context, scope: Scope, node: exp.Expr, pattern_node: exp.Expr) -> tuple[str, int, bool]:
    name = function_name(node)
    pattern = constant_text(context, scope, pattern_node, f"The pattern of {name}")
    count, may_be_absent = groups_of(pattern)
    if count > 1:
        raise refused(
            context.text, node, f"The pattern of {name} may have one group; write (?:...) for the others."
        )
    return pattern, count, may_be_absent


@calls("REGEXP_EXTRACT", "REGEXP_SUBSTR")
def _regexp_extract(context: Context, scope: Scope, node: exp.Expr, nodes: list[Any]) -> Fragment:
    expect(context, node, nodes, 2)
    text = as_type(context, node, translate(context, scope, nodes[0]), STRING)
    pattern, group, may_be_absent = _pattern(context, scope, node, nodes[1])
    found = f"regexp_extract({text}, {quoted(pattern)}, {group})"
    if may_be_absent:
        if _may_be_empty(pattern):
            raise refused(
                context.text,
                node,
                "The group of this pattern may be absent and may be empty; make it one of both.",
            )
        found = f"nullif({found}, '')"
    return Fragment(f"(CASE WHEN regexp_matches({text}, {quoted(pattern)}) THEN {found} END)", STRING)


def _may_be_empty(pattern: str) -> bool:
    """Returns whether the group of a pattern can match nothing.

    Also returns True for a pattern that cannot be decided.
    """
    start = pattern.find("(")
    while start >= 0 and (pattern[start - 1 : start] == "\\" or pattern.startswith("(?:", start)):
        start = pattern.find("(", start + 1)
    end = pattern.find(")", start)
    if start < 0 or end < 0:
        return True
    inner = re.sub(r"^\?P?<[^>]*>", "", pattern[start + 1 : end])
    try:
        return re.compile(inner).fullmatch("") is not None
    except re.error:
        return True


@calls("REGEXP_EXTRACT_ALL")
def _regexp_extract_all(context: Context, scope: Scope, node: exp.Expr, nodes: list[Any]) -> Fragment:
    expect(context, node, nodes, 2)
    text = as_type(context, node, translate(context, scope, nodes[0]), STRING)
    pattern, group, may_be_absent = _pattern(context, scope, node, nodes[1])
    if may_be_absent:
        raise refused(context.text, node, "The group of a pattern of REGEXP_EXTRACT_ALL may not be absent.")
    return Fragment(f"regexp_extract_all({text}, {quoted(pattern)}, {group})", array_of(STRING))


# FORMAT


@calls("FORMAT")
def _format(context: Context, scope: Scope, node: exp.Expr, nodes: list[Any]) -> Fragment:
    if not nodes:
        raise refused(context.text, node, "FORMAT needs a format.")
    format_ = constant_text(context, scope, nodes[0], "The format of FORMAT")
    elements = [match for match in _format_element.finditer(format_) if match[4] != "%"]
    if len(elements) != len(nodes) - 1 or format_.count("%") != sum(
        match[0].count("%") for match in _format_element.finditer(format_)
    ):
        raise refused(
            context.text,
            node,
            f"FORMAT has {len(elements)} elements that it supports for {len(nodes) - 1} values.",
        )
    values = [translate(context, scope, value) for value in nodes[1:]]
    parts = [
        _format_part(context, node, match[4], value) for match, value in zip(elements, values, strict=True)
    ]
    listed = f"CAST([{', '.join(parts)}] AS VARCHAR[])"
    return Fragment(f"bq_format({quoted(format_)}, {listed})", STRING)


def _format_part(context: Context, node: exp.Expr, letter: str, value: Fragment) -> str:
    if letter in "dixXo":
        return f"CAST({as_type(context, node, value, INT64, f'%{letter} of FORMAT')} AS VARCHAR)"
    if letter in "fFeEgG":
        return f"bq_float_text({as_type(context, node, value, FLOAT64, f'%{letter} of FORMAT')})"
    if letter == "s":
        return as_type(context, node, value, STRING, "%s of FORMAT")
    if letter in "tT" and not value.type.fields and value.type.element is None:
        return _shown(context, node, value, letter)
    raise refused(context.text, node, f"%{letter} of FORMAT is not supported for {value.type}.")


def _shown(context: Context, node: exp.Expr, value: Fragment, letter: str) -> str:
    if value.type == UNTYPED:
        return "'NULL'"
    text = value.sql if value.type == STRING else cast(context, node, value, STRING, is_safe=False)
    if (
        letter == "T"
        and value.type != STRING
        and value.type.name in ("DATE", "DATETIME", "TIMESTAMP", "TIME")
    ):
        text = f"('{value.type.name} \"' || {text} || '\"')"
    elif letter == "T" and value.type == STRING:
        text = f"('\"' || replace(replace({text}, '\\', '\\\\'), '\"', '\\\"') || '\"')"
    elif value.type == FLOAT64:
        text = f"CASE WHEN regexp_full_match({text}, '-?[0-9]+') THEN {text} || '.0' ELSE {text} END"
    return f"coalesce({text}, 'NULL')"


# JSON


@calls(
    "JSON_VALUE", "JSON_EXTRACT_SCALAR", "JSON_QUERY", "JSON_EXTRACT", "JSON_VALUE_ARRAY", "JSON_QUERY_ARRAY"
)
def _json(context: Context, scope: Scope, node: exp.Expr, nodes: list[Any]) -> Fragment:
    name = function_name(node)
    if len(nodes) not in (1, 2):
        expect(context, node, nodes, 2)
    text = as_type(context, node, translate(context, scope, nodes[0]), STRING, f"What {name} reads")
    path = constant_text(context, scope, nodes[1], f"The path of {name}") if len(nodes) == 2 else "$"
    if _json_path_match(path) is None:
        raise refused(
            context.text, node, f"The path {path!r} is not supported: write $.name, $['name'] and $[0]."
        )
    place = quoted(_duckdb_path(path))
    is_array = name.endswith("_ARRAY")
    if name in ("JSON_VALUE", "JSON_EXTRACT_SCALAR"):
        found = (
            f"CASE WHEN json_type({text}, {place}) IN ('OBJECT', 'ARRAY') THEN NULL "
            f"ELSE json_extract_string({text}, {place}) END"
        )
    elif is_array:
        found = f"bq_json_array({text}, {place}, '{'values' if 'VALUE' in name else 'json'}')"
    else:
        found = f"CAST(json_extract({text}, {place}) AS VARCHAR)"
    sql = f"(CASE WHEN json_valid({text}) THEN {found} END)"
    return Fragment(sql, array_of(STRING) if is_array else STRING)


def _duckdb_path(path: str) -> str:
    """Returns a path in DuckDB's form. Its names are in quotes, so that nothing in them is a wildcard."""
    steps = []
    for match in _json_step.finditer(path[1:]):
        name = match[1] or match[3] or match[4]
        steps.append(f'."{name}"' if name is not None else f"[{match[2]}]")
    return "$" + "".join(steps)


@calls("TO_JSON_STRING")
def _to_json(context: Context, scope: Scope, node: exp.Expr, nodes: list[Any]) -> Fragment:
    expect(context, node, nodes, 1)
    value = translate(context, scope, nodes[0])
    return Fragment(f"coalesce({json_text(context, node, value)}, 'null')", STRING)


@calls("RANGE_BUCKET")
def _range_bucket(context: Context, scope: Scope, node: exp.Expr, nodes: list[Any]) -> Fragment:
    expect(context, node, nodes, 2)
    value, bounds = (translate(context, scope, each) for each in nodes)
    if bounds.type.element is None:
        raise refused(context.text, node, "RANGE_BUCKET needs an array of bounds.")
    point = in_type(context, node, value, bounds.type.element)
    return Fragment(f"CAST(len(list_filter({bounds.sql}, lambda e: e <= {point})) AS BIGINT)", INT64)
