"""FROM: tables, queries, arrays, joins, PIVOT; and the columns that `*` stands for."""

from typing import Any

from sqlglot import exp

from rowkeep.model.nearness import suggestion
from rowkeep.sql.errors import refused
from rowkeep.sql.expressions import handles, translate
from rowkeep.sql.fragments import Column, Context, Fragment, Relation, Scope, Source
from rowkeep.sql.gate import reference_of
from rowkeep.sql.operators import compared, condition
from rowkeep.sql.pivots import pivoted
from rowkeep.sql.types import INT64

_JOINS = {("", ""): "CROSS", ("", "CROSS"): "CROSS", ("", "INNER"): "INNER"}


def from_sql(context: Context, scope: Scope, node: exp.Select) -> str:
    """Returns FROM and its joins in DuckDB's SQL. Puts the sources into the scope."""
    start = node.args.get("from_")
    if start is None:
        return ""
    sql = [_source_sql(context, scope, start.this)]
    joins = [*(start.this.args.get("joins") or []), *(node.args.get("joins") or [])]
    sql.extend(_join_sql(context, scope, joined) for joined in joins)
    return " FROM " + " ".join(sql)


def _join_sql(context: Context, scope: Scope, node: exp.Join) -> str:
    side = str(node.args.get("side") or "").upper()
    kind = str(node.args.get("kind") or "").upper()
    word = _join_word(context, node, side, kind)
    before = list(scope.sources)
    lateral = "LATERAL " if isinstance(node.this, exp.Unnest) else ""
    source = _source_sql(context, scope, node.this, lateral=lateral)
    test = node.args.get("on")
    names = node.args.get("using")
    if names:
        return f"{word} JOIN {source} ON {_using(context, scope, node, names, before, side)}"
    if test is not None:
        return f"{word} JOIN {source} ON {condition(context, scope, test, 'ON')}"
    if word in ("CROSS", "INNER"):
        return f"CROSS JOIN {source}"
    if lateral and side == "LEFT":
        return f"LEFT JOIN {source} ON TRUE"
    raise refused(context.text, node, f"{word} JOIN needs ON or USING.")


def _join_word(context: Context, node: exp.Join, side: str, kind: str) -> str:
    if side in ("LEFT", "RIGHT", "FULL") and kind in ("", "OUTER"):
        return side
    word = _JOINS.get((side, kind))
    if word is None:
        raise refused(context.text, node, f"{side} {kind} JOIN is not supported.".replace("  ", " "))
    return "INNER" if node.args.get("on") is not None or node.args.get("using") else word


def _using(
    context: Context, scope: Scope, node: exp.Join, names: list[Any], before: list[Source], side: str
) -> str:
    joined = scope.sources[-1]
    tests, columns = [], []
    for name in names:
        left = _column_of(context, before, name.name)
        right = _column_of(context, [joined], name.name)
        tests.append(compared(context, node, left, right, "=").sql)
        value = right if side == "RIGHT" else left
        if side == "FULL":
            value = Fragment(f"coalesce({left.sql}, {right.sql})", left.type)
        columns.append(Column(name.name, value))
    scope.merge(columns)
    return " AND ".join(tests)


def _column_of(context: Context, sources: list[Source], name: str) -> Fragment:
    inner = Scope()
    inner.sources = sources
    merged = [source for source in sources if source.is_merged]
    for source in merged:
        for column in source.columns:
            if column.name is not None and column.name.lower() == name.lower():
                return column.value
    return translate(context, inner, exp.column(name))


def _source_sql(context: Context, scope: Scope, node: exp.Expr, *, lateral: str = "") -> str:
    if isinstance(node, exp.Unnest):
        return lateral + _unnest_sql(context, scope, node)
    name = context.new_name()
    alias = node.args.get("alias")
    if isinstance(node, exp.Table):
        relation, own_name = table_relation(context, node)
    elif isinstance(node, exp.Subquery):
        relation, own_name = context.query_relation(scope.parent_only(), node), None
        _refuse_parts(context, node)
    else:
        raise refused(context.text, node, f"{type(node).__name__} cannot stand in FROM.")
    label = alias.name if alias is not None and alias.this is not None else own_name
    if alias is not None and alias.args.get("columns"):
        raise refused(
            context.text, node, "Naming columns behind an alias is not supported; use AS in the query."
        )
    pivots = node.args.get("pivots") or []
    source = relation.source(name, label)
    if pivots:
        relation = pivoted(context, relation, pivots)
        pivot_alias = pivots[-1].args.get("alias")
        source = relation.source(name, pivot_alias.name if pivot_alias is not None else label)
    scope.sources.append(source)
    return f"({relation.sql}) {name}"


def _refuse_parts(context: Context, node: exp.Subquery) -> None:
    if node.args.get("joins"):
        raise refused(context.text, node, "A join in parentheses is not supported; write the joins in a row.")


def table_relation(context: Context, node: exp.Table) -> tuple[Relation, str | None]:
    """Returns a table, or a query of WITH, and the name by which its columns can be named."""
    reference = reference_of(context.text, node)
    named = context.named_queries.get(reference.lower())
    if named is not None:
        return named, reference
    relation = context.tables.get(reference)
    if relation is None:
        known = [*context.named_queries, *context.tables]
        raise refused(context.text, node, f"There is no table {reference}.{suggestion(reference, known)}")
    last = reference.rpartition(".")[2]
    return relation, last.partition(":")[0]


def _unnest_sql(context: Context, scope: Scope, node: exp.Unnest) -> str:
    if len(node.expressions) != 1:
        raise refused(context.text, node, "UNNEST takes one array.")
    array = translate(context, scope, node.expressions[0])
    element = array.type.element
    if element is None:
        raise refused(context.text, node, f"UNNEST needs an array, not {array.type}.")
    if element.name == "NULL":
        element = INT64
    name = context.new_name()
    value = Fragment(f"{name}.c0", element, is_plain=True)
    alias = node.args.get("alias")
    label = _unnest_alias(alias)
    columns = [Column(label, value)]
    if element.fields:
        columns = [
            Column(field or None, Fragment(f"struct_extract({name}.c0, 'f{index}')", type_, is_plain=True))
            for index, (field, type_) in enumerate(element.fields)
        ]
    offset = node.args.get("offset")
    if offset:
        offset_name = offset.name if isinstance(offset, exp.Expr) else "offset"
        columns.append(Column(offset_name or "offset", Fragment(f"{name}.c1", INT64, is_plain=True)))
    scope.sources.append(Source(label, tuple(columns), value))
    numbered = f", CAST(generate_subscripts({array.sql}, 1) - 1 AS BIGINT) AS c1" if offset else ""
    return f"(SELECT unnest({array.sql}) AS c0{numbered}) {name}"


def _unnest_alias(alias: exp.TableAlias | None) -> str | None:
    if alias is None:
        return None
    if alias.this is not None:
        return str(alias.name)
    columns = alias.args.get("columns") or []
    return str(columns[0].name) if columns else None


@handles("Unnest")
def _unnest_alone(context: Context, scope: Scope, node: exp.Unnest) -> Fragment:
    del scope
    raise refused(context.text, node, "UNNEST stands in FROM or behind IN.")


def starred(context: Context, scope: Scope, node: exp.Expr) -> list[tuple[str | None, Fragment]]:
    """Returns the columns that `*` or `name.*` stands for."""
    star = node.this if isinstance(node, exp.Column) else node
    sources = scope.sources
    if isinstance(node, exp.Column):
        return _with_changes(context, scope, star, _of_name(context, scope, node))
    if not sources:
        raise refused(context.text, node, "SELECT * needs FROM.")
    merged = {
        column.name.lower()
        for source in sources
        if source.is_merged
        for column in source.columns
        if column.name
    }
    found = [
        (column.name, column.value) for source in sources if source.is_merged for column in source.columns
    ]
    for source in sources:
        if not source.is_merged:
            found += [
                (column.name, column.value)
                for column in source.columns
                if not column.is_hidden and (column.name or "").lower() not in merged
            ]
    return _with_changes(context, scope, star, found)


def _of_name(context: Context, scope: Scope, node: exp.Column) -> list[tuple[str | None, Fragment]]:
    name = node.table
    for source in scope.sources:
        if source.alias is not None and source.alias.lower() == name.lower() and not node.args.get("db"):
            return [(column.name, column.value) for column in source.columns if not column.is_hidden]
    value = translate(context, scope, exp.column(name))
    if not value.type.fields:
        raise refused(context.text, node, f"{name} has no columns for {name}.*.")
    return [
        (field, Fragment(f"struct_extract({value.sql}, 'f{index}')", type_))
        for index, (field, type_) in enumerate(value.type.fields)
    ]


def _with_changes(
    context: Context, scope: Scope, star: exp.Expr, found: list[tuple[str | None, Fragment]]
) -> list[tuple[str | None, Fragment]]:
    left_out = {column.name.lower(): column for column in star.args.get("except_") or []}
    replaced = {item.alias.lower(): item for item in star.args.get("replace") or []}
    names = {(name or "").lower() for name, _ in found}
    hidden = {
        column.name.lower()
        for source in scope.sources
        for column in source.columns
        if column.is_hidden and column.name
    }
    for name, node in {**left_out, **replaced}.items():
        if name not in names and name not in hidden:
            raise refused(context.text, node, f"* has no column {name}.")
    columns = []
    for name, fragment in found:
        key = (name or "").lower()
        if key in replaced:
            columns.append((name, translate(context, scope, replaced[key].this)))
        elif key not in left_out:
            columns.append((name, fragment))
    return columns
