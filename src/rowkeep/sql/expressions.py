"""Expressions: a node of the parsed query becomes a fragment of DuckDB's SQL with its type.

`translate` finds who knows the node; the modules beside this one say what they know in `HANDLERS`. Every
handler is given the context, the scope and the node. What an operand may be is decided by its type, as
BigQuery does: an integer is no text, and only a literal turns into a date unasked.
"""

import re
from collections.abc import Callable
from typing import Any

from sqlglot import exp

from rowkeep.model.nearness import listing, suggestion
from rowkeep.sql.errors import QueryRefused, refused
from rowkeep.sql.fragments import Column, Context, Fragment, Scope, cast_sql, integer, null_of, quoted
from rowkeep.sql.literals import literal_text_in_type, parameter_value
from rowkeep.sql.types import (
    BOOL,
    BYTES,
    FLOAT64,
    INT64,
    STRING,
    UNTYPED,
    SqlType,
    array_of,
    distance,
)

Handler = Callable[[Context, Scope, Any], Fragment]
HANDLERS: dict[str, Handler] = {}

_float_match = re.compile(r"(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?").fullmatch
_INTEGER_MAX = 2**63 - 1


def handles(*names: str) -> Callable[[Handler], Handler]:
    """Registers a function as the translation of the named nodes."""

    def register(handler: Handler) -> Handler:
        HANDLERS.update(dict.fromkeys(names, handler))
        return handler

    return register


def translate(context: Context, scope: Scope, node: exp.Expr) -> Fragment:
    """Returns the fragment of an expression. Raises QueryRefused."""
    handler = HANDLERS.get(type(node).__name__)
    if handler is None:
        raise refused(context.text, node, f"{type(node).__name__} is not supported here.")
    if scope.grouped is not None and not context.is_in_aggregate:
        whole = _ungrouped(context, scope, handler, node)
        if whole is not None:
            return whole
    return handler(context, scope, node)


def _ungrouped(context: Context, scope: Scope, handler: Handler, node: exp.Expr) -> Fragment | None:
    """Returns the fragment of an expression that the rows are grouped by, or None."""
    if isinstance(node, exp.Literal) or not scope.grouped:
        return None
    grouped, scope.grouped = scope.grouped, None
    try:
        found = handler(context, scope, node)
    except QueryRefused:
        return None
    finally:
        scope.grouped = grouped
    return found if found.sql in grouped else None


def as_type(context: Context, node: exp.Expr, fragment: Fragment, type_: SqlType, what: str = "") -> str:
    """Returns a fragment's SQL in a type that it turns into unasked.

    Raises QueryRefused when it does not.
    """
    if distance(fragment.type, type_, is_literal=fragment.is_literal) is None:
        wanted = f"{what} must be {type_}" if what else f"{type_} is expected here"
        raise refused(context.text, node, f"{wanted}, not {fragment.type}. Use CAST to change the type.")
    return in_type(context, node, fragment, type_)


def in_type(context: Context, node: exp.Expr, fragment: Fragment, type_: SqlType) -> str:
    """Returns the SQL of a value in a type that it is known to turn into."""
    if fragment.type == type_:
        return fragment.sql
    if fragment.type == UNTYPED:
        return null_of(type_)
    if fragment.text is not None and fragment.type == STRING:
        return literal_text_in_type(context, node, fragment.text, type_)
    return cast_sql(fragment.sql, type_)


def supertype(context: Context, nodes: list[Any], fragments: list[Fragment], what: str) -> SqlType:
    """Returns the type that all fragments turn into. Raises QueryRefused when there is none."""
    candidates = [fragment.type for fragment in fragments if fragment.type != UNTYPED]
    if not candidates:
        return INT64
    firm = [fragment.type for fragment in fragments if not fragment.is_literal and fragment.type != UNTYPED]
    for type_ in (*(firm or candidates), *candidates, FLOAT64):
        if all(distance(each.type, type_, is_literal=each.is_literal) is not None for each in fragments):
            return type_
    listed = ", ".join(dict.fromkeys(str(type_) for type_ in candidates))
    raise refused(context.text, nodes[0], f"{what}: the types {listed} do not go together. Use CAST.")


# Literals and names


@handles("Literal")
def _literal(context: Context, scope: Scope, node: exp.Literal) -> Fragment:
    del scope
    if node.is_string:
        return text_literal(str(node.this))
    text = str(node.this)
    if text.isdigit():
        if int(text) > _INTEGER_MAX:
            raise refused(context.text, node, f"{text} is beyond the range of INT64.")
        return integer(int(text))
    if text[:2].lower() == "0x":
        return integer(int(text, 16))
    if _float_match(text) is None:
        raise refused(context.text, node, f"{text} is no number.")
    return Fragment(f"CAST('{text}' AS DOUBLE)", FLOAT64, is_literal=True, is_plain=True)


def text_literal(text: str) -> Fragment:
    """Returns a text as a literal."""
    return Fragment(quoted(text), STRING, is_literal=True, is_plain=True, text=text)


@handles("RawString")
def _raw_string(context: Context, scope: Scope, node: exp.RawString) -> Fragment:
    del context, scope
    return text_literal(str(node.this))


@handles("ByteString")
def _byte_string(context: Context, scope: Scope, node: exp.ByteString) -> Fragment:
    text = str(node.this)
    if not text.isascii() or "\\" in text:
        raise refused(context.text, node, "Bytes literals with escapes are not supported; use FROM_HEX.")
    del scope
    return Fragment(f"encode({quoted(text)})", BYTES, is_plain=True)


@handles("HexString")
def _hex_string(context: Context, scope: Scope, node: exp.HexString) -> Fragment:
    del scope
    value = int(str(node.this), 16)
    if value > _INTEGER_MAX:
        raise refused(context.text, node, "The number is beyond the range of INT64.")
    return integer(value)


@handles("Boolean")
def _boolean(context: Context, scope: Scope, node: exp.Boolean) -> Fragment:
    del context, scope
    return Fragment("TRUE" if node.this else "FALSE", BOOL, is_plain=True)


@handles("Null")
def _null(context: Context, scope: Scope, node: exp.Null) -> Fragment:
    del context, scope, node
    return Fragment(null_of(UNTYPED), UNTYPED, is_literal=True, is_plain=True)


@handles("Parameter", "Placeholder")
def _parameter(context: Context, scope: Scope, node: exp.Expr) -> Fragment:
    del scope
    return parameter_value(context, node)


@handles("Paren")
def _paren(context: Context, scope: Scope, node: exp.Paren) -> Fragment:
    return translate(context, scope, node.this)


@handles("Column")
def _column(context: Context, scope: Scope, node: exp.Column) -> Fragment:
    parts = [part.name for part in node.parts]
    return resolved(context, scope, node, parts)


@handles("Dot")
def _dot(context: Context, scope: Scope, node: exp.Dot) -> Fragment:
    if not isinstance(node.expression, exp.Identifier):
        raise refused(context.text, node, "A dot is followed by the name of a field.")
    return field_of(context, node, translate(context, scope, node.this), node.expression.name)


def resolved(context: Context, scope: Scope, node: exp.Expr, parts: list[str]) -> Fragment:
    """Returns what a name means: a column, or a field of one. Raises QueryRefused for an unknown name."""
    at: Scope | None = scope
    while at is not None:
        if len(parts) == 1 and parts[0].lower() in at.aliases:
            return at.aliases[parts[0].lower()]
        found = _in_scope(context, at, node, parts)
        if found is not None:
            fragment, rest = found
            _check_grouped(context, at, node, fragment)
            for name in rest:
                fragment = field_of(context, node, fragment, name)
            return fragment
        at = at.parent
    raise refused(context.text, node, f"Unrecognized name: {'.'.join(parts)}.{_near(scope, parts[-1])}")


def _check_grouped(context: Context, scope: Scope, node: exp.Expr, fragment: Fragment) -> None:
    if scope.grouped is None or context.is_in_aggregate or fragment.sql in scope.grouped:
        return
    raise refused(
        context.text,
        node,
        f"{node.sql()} is neither grouped nor aggregated: add it to GROUP BY, or use ANY_VALUE.",
    )


def _near(scope: Scope, name: str) -> str:
    names = [column.name for source in scope.sources for column in source.columns if column.name]
    return suggestion(name, names) or (f" There are: {listing(names)}." if names else "")


def _in_scope(
    context: Context, scope: Scope, node: exp.Expr, parts: list[str]
) -> tuple[Fragment, list[str]] | None:
    first = parts[0].lower()
    for source in scope.sources:
        if source.alias is not None and source.alias.lower() == first and len(parts) > 1:
            found = _columns_named(source.columns, parts[1])
            if found:
                return _only(context, node, found, parts[1]), parts[2:]
            if source.value is not None:
                return source.value, parts[1:]
    found = [column for source in scope.sources for column in _columns_named(source.columns, parts[0])]
    merged = [
        column
        for source in scope.sources
        if source.is_merged
        for column in _columns_named(source.columns, parts[0])
    ]
    found = merged or found
    if found:
        return _only(context, node, found, parts[0]), parts[1:]
    for source in scope.sources:
        if source.alias is not None and source.alias.lower() == first and source.value is not None:
            return source.value, parts[1:]
    return None


def _columns_named(columns: tuple[Column, ...], name: str) -> list[Column]:
    return [column for column in columns if column.name is not None and column.name.lower() == name.lower()]


def _only(context: Context, node: exp.Expr, found: list[Column], name: str) -> Fragment:
    if len({column.value.sql for column in found}) > 1:
        raise refused(context.text, node, f"{name} is ambiguous: write the table's alias before it.")
    return found[0].value


def field_of(context: Context, node: exp.Expr, value: Fragment, name: str) -> Fragment:
    """Returns a field of a struct."""
    for index, (field, type_) in enumerate(value.type.fields):
        if field.lower() == name.lower():
            return Fragment(f"struct_extract({value.sql}, 'f{index}')", type_, is_plain=value.is_plain)
    raise refused(context.text, node, f"{name} is no field of {value.type}.")


# Arrays and structs


@handles("Array")
def _array(context: Context, scope: Scope, node: exp.Array) -> Fragment:
    if len(node.expressions) == 1 and isinstance(node.expressions[0], exp.Query):
        return HANDLERS["ArrayQuery"](context, scope, node.expressions[0])
    elements = [translate(context, scope, element) for element in node.expressions]
    type_ = supertype(context, [node], elements, "ARRAY") if elements else UNTYPED
    if type_.element is not None:
        raise refused(context.text, node, "An array cannot hold arrays; put each into a STRUCT.")
    parts = [in_type(context, node, element, type_) for element in elements]
    sql = cast_sql(f"[{', '.join(parts)}]", array_of(type_))
    return Fragment(sql, array_of(type_), is_literal=not elements, is_plain=all(e.is_plain for e in elements))


@handles("Struct")
def struct(context: Context, scope: Scope, node: exp.Expr) -> Fragment:
    """Returns STRUCT(...). Its fields are named by AS, or by the columns that they are."""
    fields: list[tuple[str, SqlType]] = []
    parts = []
    for index, item in enumerate(node.expressions):
        name, value = _struct_item(item)
        fragment = translate(context, scope, value)
        fields.append((name, INT64 if fragment.type == UNTYPED else fragment.type))
        parts.append(f"f{index} := {fragment.sql}")
    if not fields:
        raise refused(context.text, node, "A STRUCT needs at least one field.")
    return Fragment(f"struct_pack({', '.join(parts)})", SqlType("STRUCT", fields=tuple(fields)))


def _struct_item(item: exp.Expr) -> tuple[str, exp.Expr]:
    if isinstance(item, exp.PropertyEQ):
        return item.this.name, item.expression
    if isinstance(item, exp.Alias):
        return item.alias, item.this
    return (item.name if isinstance(item, exp.Column) else ""), item


@handles("Bracket")
def _bracket(context: Context, scope: Scope, node: exp.Bracket) -> Fragment:
    array = translate(context, scope, node.this)
    element = array.type.element
    if element is None or len(node.expressions) != 1:
        raise refused(context.text, node, f"[...] needs an array, not {array.type}.")
    index = as_type(context, node, translate(context, scope, node.expressions[0]), INT64, "The index")
    place = index if node.args.get("offset") == 1 else f"({index} + 1)"
    outside = f"{place} < 1 OR {place} > len({array.sql})"
    if node.args.get("safe"):
        sql = f"CASE WHEN {outside} THEN NULL ELSE {array.sql}[{place}] END"
    else:
        failure = "error('The array index is out of bounds.')"
        sql = f"CASE WHEN {outside} THEN {failure} ELSE {array.sql}[{place}] END"
    return Fragment(f"({sql})", element)
