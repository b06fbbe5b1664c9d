"""Calls of functions: the list (functions.txt) first, and here what needs more than a line.

`SPECIAL` holds the functions whose arguments are more than values: formats, patterns and the like that are
worked out while translating, and those whose result has the type of their arguments.
"""

from collections.abc import Callable
from typing import Any

from sqlglot import exp

from rowkeep.model.nearness import suggestion
from rowkeep.sql.errors import refused
from rowkeep.sql.expressions import handles, in_type, struct, supertype, translate
from rowkeep.sql.fragments import Context, Fragment, Scope, filled, filled_safely
from rowkeep.sql.operators import condition
from rowkeep.sql.signatures import listed_functions, matching, signatures
from rowkeep.sql.types import BOOL, FLOAT64, STRING, SqlType, is_orderable

Special = Callable[[Context, Scope, exp.Expr, list[Any]], Fragment]
SPECIAL: dict[str, Special] = {}


def calls(*names: str) -> Callable[[Special], Special]:
    """Registers a function here as the translation of the named functions."""

    def register(special: Special) -> Special:
        SPECIAL.update(dict.fromkeys(names, special))
        return special

    return register


def function_name(node: exp.Expr) -> str:
    """Returns the name of a called function, in upper case."""
    this = node.this
    return (this if isinstance(this, str) else this.name).upper()


@handles("Anonymous")
def _call(context: Context, scope: Scope, node: exp.Anonymous) -> Fragment:
    return call(context, scope, node, function_name(node))


def call(context: Context, scope: Scope, node: exp.Expr, name: str) -> Fragment:
    """Returns a call that is neither an aggregate nor over a window."""
    special = SPECIAL.get(name)
    if special is not None:
        return special(context, scope, node, list(node.expressions))
    return listed_call(context, scope, node, name, node.expressions)


def listed_call(context: Context, scope: Scope, node: exp.Expr, name: str, nodes: list[Any]) -> Fragment:
    """Returns a call of a function that is a line of the list."""
    arguments = [translate(context, scope, argument) for argument in nodes]
    template, types, result = _line_of(context, node, name, arguments)
    parts = [in_type(context, node, part, type_) for part, type_ in zip(arguments, types, strict=True)]
    return Fragment(f"({filled(template, parts)})", result)


def _line_of(
    context: Context, node: exp.Expr, name: str, arguments: list[Fragment]
) -> tuple[str, list[SqlType], SqlType]:
    found = signatures().get(name)
    if found is None:
        raise unknown_function(context, node, name)
    match = matching(found, arguments)
    if match is None:
        types = ", ".join(str(argument.type) for argument in arguments)
        known = "; ".join(line.text for line in listed_functions() if line.name == name)
        raise refused(context.text, node, f"{name}({types}) does not match {known}.")
    signature, types_, result = match
    return signature.template, types_, result


def unknown_function(context: Context, node: exp.Expr, name: str) -> Exception:
    """Returns the error for a function that is not on the list."""
    known = {*SPECIAL, *(line.name for line in listed_functions())}
    meant = suggestion(name, sorted(known))
    return refused(
        context.text, node, f"The function {name} is not supported.{meant} docs/sql.md lists those that are."
    )


@handles("SafeFunc")
def _safe(context: Context, scope: Scope, node: exp.SafeFunc) -> Fragment:
    """Returns SAFE.name(...): NULL where the function fails.

    A failure of its arguments must still be an error.
    """
    call_node = node.this
    if not isinstance(call_node, exp.Anonymous):
        raise refused(context.text, node, "SAFE. is followed by a function.")
    name = function_name(call_node)
    if name in SPECIAL or name not in signatures():
        return _safe_special(context, scope, call_node, name)
    arguments = [translate(context, scope, argument) for argument in call_node.expressions]
    template, types, result = _line_of(context, call_node, name, arguments)
    if not all(argument.is_plain for argument in arguments):
        raise refused(
            context.text,
            node,
            "SAFE. needs names and literals as arguments; work them out in a WITH before it.",
        )
    parts = [in_type(context, node, part, type_) for part, type_ in zip(arguments, types, strict=True)]
    return Fragment(filled_safely(template, parts), result)


def _safe_special(context: Context, scope: Scope, node: exp.Anonymous, name: str) -> Fragment:
    if name not in ("PARSE_DATE", "PARSE_DATETIME", "PARSE_TIMESTAMP", "PARSE_TIME"):
        raise refused(context.text, node, f"SAFE.{name} is not supported.")
    found = call(context, scope, node, name)
    return Fragment(f"TRY({found.sql})", found.type)


@handles("NetFunc")
def _net(context: Context, scope: Scope, node: exp.NetFunc) -> Fragment:
    return call(context, scope, node.this, f"NET.{function_name(node.this)}")


# Conditions


@handles("Case")
def _case(context: Context, scope: Scope, node: exp.Case) -> Fragment:
    subject = node.args.get("this")
    branches = node.args["ifs"]
    default = node.args.get("default")
    values = [translate(context, scope, branch.args["true"]) for branch in branches]
    if default is not None:
        values.append(translate(context, scope, default))
    type_ = supertype(context, [node], values, "CASE")
    parts = [in_type(context, node, value, type_) for value in values]
    when = [_when(context, scope, subject, branch) for branch in branches]
    sql = " ".join(f"WHEN {test} THEN {part}" for test, part in zip(when, parts, strict=False))
    last = f" ELSE {parts[-1]}" if default is not None else ""
    return Fragment(f"(CASE {sql}{last} END)", type_)


def _when(context: Context, scope: Scope, subject: exp.Expr | None, branch: exp.If) -> str:
    if subject is None:
        return condition(context, scope, branch.this, "What WHEN tests")
    return translate(context, scope, exp.EQ(this=subject.copy(), expression=branch.this.copy())).sql


@calls("STRUCT")
def _struct(context: Context, scope: Scope, node: exp.Expr, nodes: list[Any]) -> Fragment:
    del nodes
    return struct(context, scope, node)


@calls("IF")
def _if(context: Context, scope: Scope, node: exp.Expr, nodes: list[Any]) -> Fragment:
    expect(context, node, nodes, 3)
    test = condition(context, scope, nodes[0], "What IF tests")
    values = [translate(context, scope, value) for value in nodes[1:]]
    type_ = supertype(context, [node], values, "IF")
    then, otherwise = (in_type(context, node, value, type_) for value in values)
    return Fragment(f"(CASE WHEN {test} THEN {then} ELSE {otherwise} END)", type_)


@calls("COALESCE", "IFNULL")
def _coalesce(context: Context, scope: Scope, node: exp.Expr, nodes: list[Any]) -> Fragment:
    if function_name(node) == "IFNULL":
        expect(context, node, nodes, 2)
    if not nodes:
        raise refused(context.text, node, "COALESCE needs an argument.")
    values = [translate(context, scope, value) for value in nodes]
    type_ = supertype(context, [node], values, function_name(node))
    return Fragment(f"coalesce({', '.join(in_type(context, node, value, type_) for value in values)})", type_)


@calls("NULLIF")
def _null_if(context: Context, scope: Scope, node: exp.Expr, nodes: list[Any]) -> Fragment:
    expect(context, node, nodes, 2)
    values = [translate(context, scope, value) for value in nodes]
    type_ = supertype(context, [node], values, "NULLIF")
    one, other = (in_type(context, node, value, type_) for value in values)
    return Fragment(f"nullif({one}, {other})", type_)


@calls("GREATEST", "LEAST")
def _greatest(context: Context, scope: Scope, node: exp.Expr, nodes: list[Any]) -> Fragment:
    """Returns GREATEST: NULL if any value is NULL, and NaN if any is NaN."""
    name = function_name(node)
    if not nodes:
        raise refused(context.text, node, f"{name} needs an argument.")
    values = [translate(context, scope, value) for value in nodes]
    type_ = supertype(context, [node], values, name)
    if not is_orderable(type_):
        raise refused(context.text, node, f"{name} needs values that have an order, not {type_}.")
    parts = [in_type(context, node, value, type_) for value in values]
    tests = " OR ".join(f"{part} IS NULL" for part in parts)
    not_numbers = ""
    if type_ == FLOAT64:
        not_numbers = f" WHEN {' OR '.join(f'isnan({part})' for part in parts)} THEN CAST('nan' AS DOUBLE)"
    return Fragment(
        f"(CASE WHEN {tests} THEN NULL{not_numbers} ELSE {name.lower()}({', '.join(parts)}) END)", type_
    )


@calls("NORMALIZE", "NORMALIZE_AND_CASEFOLD")
def _normalize(context: Context, scope: Scope, node: exp.Expr, nodes: list[Any]) -> Fragment:
    name = function_name(node)
    form = nodes[1].name.upper() if len(nodes) > 1 else "NFC"
    if not nodes or len(nodes) > 2 or form not in ("NFC", "NFKC", "NFD", "NFKD"):
        raise refused(context.text, node, f"{name} takes a text and NFC, NFKC, NFD or NFKD.")
    value = translate(context, scope, nodes[0])
    if value.type not in (STRING,):
        raise refused(context.text, node, f"{name} needs a STRING, not {value.type}.")
    called = "bq_normalize" if name == "NORMALIZE" else "bq_casefold"
    return Fragment(f"{called}({value.sql}, '{form}')", STRING)


def expect(context: Context, node: exp.Expr, nodes: list[Any], count: int) -> None:
    """Raises QueryRefused unless a call has this many arguments."""
    if len(nodes) != count:
        name = function_name(node)
        raise refused(context.text, node, f"{name} takes {count} arguments, and this call has {len(nodes)}.")


def constant_text(context: Context, scope: Scope, node: exp.Expr, what: str) -> str:
    """Returns the text of an argument that must be a literal text or a parameter."""
    text = translate(context, scope, node).text
    if text is None:
        raise refused(context.text, node, f"{what} must be a literal text or a parameter.")
    return text


def truth(sql: str) -> Fragment:
    """Returns a fragment that is true or false."""
    return Fragment(sql, BOOL)
