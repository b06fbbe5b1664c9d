"""PIVOT: values of one column become columns, each an aggregate over the rows that have the value."""

from sqlglot import exp

from rowkeep.sql.aggregates import is_aggregate
from rowkeep.sql.errors import refused
from rowkeep.sql.expressions import translate
from rowkeep.sql.fragments import Column, Context, Fragment, Relation, Scope, Source
from rowkeep.sql.operators import compared
from rowkeep.sql.types import BOOL, STRING


def pivoted(context: Context, relation: Relation, pivots: list[exp.Pivot]) -> Relation:
    """Returns a relation after PIVOT. Raises QueryRefused."""
    if len(pivots) != 1:
        raise refused(context.text, pivots[1], "One PIVOT at a time; use a query in FROM for the next.")
    [pivot] = pivots
    [field] = pivot.args["fields"]
    if not isinstance(field, exp.In) or not isinstance(field.this, exp.Column):
        raise refused(context.text, pivot, "PIVOT needs FOR column IN (values).")
    name = context.new_name()
    scope = Scope()
    scope.sources.append(relation.source(name, None))
    used = {found.name.lower() for item in pivot.expressions for found in item.find_all(exp.Column)}
    used.add(field.this.name.lower())
    kept = [column for column in scope.sources[0].columns if (column.name or "").lower() not in used]
    items = [(column.name, column.value) for column in kept]
    scope.grouped = frozenset(fragment.sql for _, fragment in items)
    key = translate_ungrouped(context, scope, field.this)
    for value_node in field.expressions:
        label, value = _value(context, scope, value_node)
        test = compared(context, pivot, key, value, "=").sql
        items += [_aggregate(context, scope, item, test, label) for item in pivot.expressions]
    columns = ", ".join(f"{fragment.sql} AS c{index}" for index, (_, fragment) in enumerate(items))
    group = f" GROUP BY {', '.join(column.value.sql for column in kept)}" if kept else ""
    sql = f"SELECT {columns} FROM ({relation.sql}) {name}{group}"
    return Relation(sql, tuple(label for label, _ in items), tuple(fragment.type for _, fragment in items))


def translate_ungrouped(context: Context, scope: Scope, node: exp.Expr) -> Fragment:
    """Returns an expression of the rows, before they are grouped."""
    grouped, scope.grouped = scope.grouped, None
    try:
        return translate(context, scope, node)
    finally:
        scope.grouped = grouped


def _value(context: Context, scope: Scope, node: exp.Expr) -> tuple[str, Fragment]:
    label = None
    if isinstance(node, exp.PivotAlias | exp.Alias):
        label, node = node.args["alias"].name, node.this
    value = translate(context, scope, node)
    if not value.is_literal:
        raise refused(context.text, node, "The values of PIVOT are literals.")
    if label is None:
        label = value.text if value.type == STRING and value.text is not None else f"_{node.name}"
    return label, value


def _aggregate(
    context: Context, scope: Scope, node: exp.Expr, test: str, label: str
) -> tuple[str | None, Fragment]:
    prefix = ""
    if isinstance(node, exp.Alias):
        prefix, node = f"{node.alias}_", node.this
    if not is_aggregate(node) or len(node.expressions) != 1:
        raise refused(context.text, node, "PIVOT aggregates with a function of one argument, such as SUM(x).")
    return prefix + label, _conditional(context, scope, node, test)


def _conditional(context: Context, scope: Scope, node: exp.Expr, test: str) -> Fragment:
    """Returns an aggregate over the rows for which a test holds."""
    [argument] = node.expressions
    if isinstance(argument, exp.Star):
        value = Fragment(f"(CASE WHEN {test} THEN TRUE END)", BOOL)
    else:
        inner = translate_ungrouped(context, scope, argument)
        value = Fragment(f"(CASE WHEN {test} THEN {inner.sql} END)", inner.type)
    rows = Scope()
    rows.grouped = frozenset()
    rows.sources.append(Source(None, (Column("value", value),)))
    return translate(context, rows, exp.Anonymous(this=node.this, expressions=[exp.column("value")]))
