"""Queries: SELECT, and the set operations that join several, with their names and types.

Every column of a translated query is named c0, c1 and so on, and every source r1, r2: no name of the caller's
reaches DuckDB, so none can mean something there that it does not mean in BigQuery.
"""

import msgspec
from sqlglot import exp

from rowkeep.sql.aggregates import has_aggregate
from rowkeep.sql.errors import refused
from rowkeep.sql.expressions import in_type, supertype, translate
from rowkeep.sql.fragments import SQL_CHARACTERS_MAX, Context, Fragment, Relation, Scope
from rowkeep.sql.modifiers import ordered_keys
from rowkeep.sql.operators import condition
from rowkeep.sql.sources import from_sql, starred
from rowkeep.sql.types import INT64, is_orderable

Item = tuple[str | None, Fragment]


def query_relation(context: Context, node: exp.Expr, outer: Scope | None) -> Relation:
    """Returns a query with its columns. Raises QueryRefused."""
    named_before = dict(context.named_queries)
    try:
        with_ = _with_sql(context, node, outer)
        relation = _body(context, node, outer)
        if len(relation.sql) > SQL_CHARACTERS_MAX:
            raise refused(context.text, node, "The query is too large once it is translated; split it.")
        return msgspec.structs.replace(relation, sql=with_ + relation.sql)
    finally:
        context.named_queries = named_before


def _with_sql(context: Context, node: exp.Expr, outer: Scope | None) -> str:
    with_ = node.args.get("with_")
    if with_ is None:
        return ""
    parts = []
    seen: set[str] = set()
    for named in with_.expressions:
        label = named.alias
        if not label.isidentifier() or label.lower() in seen:
            raise refused(context.text, named, f"WITH names {label!r}: a plain name is expected, each once.")
        seen.add(label.lower())
        if named.args["alias"].args.get("columns"):
            raise refused(
                context.text, named, "Naming columns in WITH is not supported; use AS in the query."
            )
        relation = context.query_relation(outer or Scope(), named.this)
        name = context.new_name()
        parts.append(f"{name} AS ({relation.sql})")
        context.named_queries[label.lower()] = msgspec.structs.replace(relation, sql=f"SELECT * FROM {name}")
    return f"WITH {', '.join(parts)} "


def _body(context: Context, node: exp.Expr, outer: Scope | None) -> Relation:
    if isinstance(node, exp.Select):
        return _select(context, node, outer)
    if isinstance(node, exp.SetOperation):
        return _combined(context, node, outer)
    if isinstance(node, exp.Subquery):
        inner = query_relation(context, node.this, outer)
        return _limited(context, node, inner)
    raise refused(context.text, node, "A query is expected here.")


def _select(context: Context, node: exp.Select, outer: Scope | None) -> Relation:
    scope = Scope(outer)
    from_ = from_sql(context, scope, node)
    where = node.args.get("where")
    tail = "" if where is None else f" WHERE {condition(context, scope, where.this, 'WHERE')}"
    group_sql, grouped = _grouping(context, scope, node)
    scope.grouped = grouped
    scope.windows = {named.this.name.lower(): named for named in node.args.get("windows") or []}
    items = _items(context, scope, node)
    scope.aliases = _aliases(node, items)
    having, qualify = node.args.get("having"), node.args.get("qualify")
    tail += group_sql
    if having is not None:
        tail += f" HAVING {condition(context, scope, having.this, 'HAVING')}"
    if qualify is not None:
        tail += f" QUALIFY {condition(context, scope, qualify.this, 'QUALIFY')}"
    distinct = _distinct(context, node, items)
    columns = ", ".join(f"{fragment.sql} AS c{index}" for index, (_, fragment) in enumerate(items))
    sql = f"SELECT {distinct}{columns}{from_}{tail}"
    relation = Relation(sql, tuple(name for name, _ in items), tuple(fragment.type for _, fragment in items))
    if distinct:
        return _limited(context, node, relation)
    order = _order_of_select(context, scope, node, items)
    return msgspec.structs.replace(relation, sql=sql + order + limit_sql(context, node))


def _distinct(context: Context, node: exp.Select, items: list[Item]) -> str:
    if node.args.get("distinct") is None:
        return ""
    for _, fragment in items:
        if not is_orderable(fragment.type):
            raise refused(context.text, node, f"DISTINCT is not supported for {fragment.type}.")
    return "DISTINCT "


def _items(context: Context, scope: Scope, node: exp.Select) -> list[Item]:
    items: list[Item] = []
    for expression in node.expressions:
        if isinstance(expression, exp.Star) or (
            isinstance(expression, exp.Column) and isinstance(expression.this, exp.Star)
        ):
            found = starred(context, scope, expression)
            _check_starred(context, scope, expression, found)
            items += found
        else:
            items.append(_item(context, scope, expression))
    if not items:
        raise refused(context.text, node, "SELECT has no columns.")
    return items


def _check_starred(context: Context, scope: Scope, node: exp.Expr, found: list[Item]) -> None:
    if scope.grouped is not None and any(fragment.sql not in scope.grouped for _, fragment in found):
        raise refused(context.text, node, "* cannot stand beside GROUP BY or an aggregate: name the columns.")


def _item(context: Context, scope: Scope, node: exp.Expr) -> Item:
    if isinstance(node, exp.Alias):
        return node.alias, translate(context, scope, node.this)
    if isinstance(node, exp.Column):
        return node.name, translate(context, scope, node)
    if isinstance(node, exp.Dot) and isinstance(node.expression, exp.Identifier):
        return node.expression.name, translate(context, scope, node)
    return None, translate(context, scope, node)


def _aliases(node: exp.Select, items: list[Item]) -> dict[str, Fragment]:
    """Returns the names that SELECT gives, for HAVING, QUALIFY and ORDER BY."""
    given = {item.alias.lower() for item in node.expressions if isinstance(item, exp.Alias)}
    return {
        name.lower(): msgspec.structs.replace(fragment, is_literal=False, text=None)
        for name, fragment in items
        if name is not None and name.lower() in given
    }


def _grouping(context: Context, scope: Scope, node: exp.Select) -> tuple[str, frozenset[str] | None]:
    group = node.args.get("group")
    if group is None:
        parts = [*node.expressions, node.args.get("having"), node.args.get("qualify"), node.args.get("order")]
        is_grouped = node.args.get("having") is not None or any(
            has_aggregate(part) for part in parts if part is not None
        )
        return "", frozenset() if is_grouped else None
    if group.args.get("all"):
        keys = [item for item in node.expressions if not has_aggregate(item)]
        found = [_item(context, scope, key)[1] for key in keys]
        return _group_sql([], [fragment.sql for fragment in found]), frozenset(f.sql for f in found)
    plain = [
        _group_key(context, scope, node, key) for key in group.expressions if not isinstance(key, exp.Rollup)
    ]
    rollups = [
        [_group_key(context, scope, node, key) for key in rollup.expressions]
        for rollup in (*group.expressions, *(group.args.get("rollup") or []))
        if isinstance(rollup, exp.Rollup)
    ]
    sql = _group_sql(rollups, plain)
    return sql, frozenset((*plain, *(key for keys in rollups for key in keys)))


def _group_sql(rollups: list[list[str]], plain: list[str]) -> str:
    parts = [*plain, *(f"ROLLUP ({', '.join(keys)})" for keys in rollups)]
    return f" GROUP BY {', '.join(parts)}" if parts else ""


def _group_key(context: Context, scope: Scope, node: exp.Select, key: exp.Expr) -> str:
    fragment = _numbered(context, scope, node, key)
    if fragment is None:
        fragment = _named_in_select(context, scope, node, key)
    if not is_orderable(fragment.type):
        raise refused(context.text, key, f"GROUP BY is not supported for {fragment.type}.")
    return fragment.sql


def _numbered(context: Context, scope: Scope, node: exp.Select, key: exp.Expr) -> Fragment | None:
    if not isinstance(key, exp.Literal) or key.is_string:
        return None
    items = node.expressions
    if not str(key.this).isdigit() or not 1 <= int(key.this) <= len(items):
        raise refused(context.text, key, f"There is no column {key.this} in SELECT.")
    item = items[int(key.this) - 1]
    if isinstance(item, exp.Star) or has_aggregate(item):
        raise refused(context.text, key, "GROUP BY cannot name a column with an aggregate, or *.")
    return _item(context, scope, item)[1]


def _named_in_select(context: Context, scope: Scope, node: exp.Select, key: exp.Expr) -> Fragment:
    """Returns what a name in GROUP BY means: a column, or a name of SELECT.

    If it is both, they must be equal.
    """
    if not isinstance(key, exp.Column) or key.args.get("table"):
        return translate(context, scope, key)
    found = [
        item.this
        for item in node.expressions
        if isinstance(item, exp.Alias) and item.alias.lower() == key.name.lower()
    ]
    if not found:
        return translate(context, scope, key)
    if has_aggregate(found[0]):
        raise refused(
            context.text, key, f"{key.name} is an aggregate in SELECT; the rows cannot be grouped by it."
        )
    return translate(context, scope, found[0])


def _order_of_select(context: Context, scope: Scope, node: exp.Select, items: list[Item]) -> str:
    order = node.args.get("order")
    if order is None:
        return ""
    keys = []
    for ordered in order.expressions:
        number = ordered.this
        if isinstance(number, exp.Literal) and not number.is_string:
            fragment = _item_at(context, number, items)
        else:
            fragment = translate(context, scope, number)
        keys += ordered_keys(context, ordered, msgspec.structs.replace(fragment, is_literal=False))
    return f" ORDER BY {', '.join(keys)}"


def _item_at(context: Context, number: exp.Literal, items: list[Item]) -> Fragment:
    if not str(number.this).isdigit() or not 1 <= int(number.this) <= len(items):
        raise refused(context.text, number, f"There is no column {number.this} to sort by.")
    return items[int(number.this) - 1][1]


def limit_sql(context: Context, node: exp.Expr) -> str:
    """Returns LIMIT and OFFSET, which are whole numbers or parameters."""
    sql = ""
    for word, part in (("LIMIT", node.args.get("limit")), ("OFFSET", node.args.get("offset"))):
        if part is not None:
            value = translate(context, Scope(), part.expression)
            if not value.is_literal or value.type != INT64 or "-" in value.sql:
                raise refused(
                    context.text, part, f"{word} is followed by a whole number that is not negative."
                )
            sql += f" {word} {value.sql}"
    return sql


def _limited(context: Context, node: exp.Expr, relation: Relation) -> Relation:
    """Returns a query whose ORDER BY can name only its own columns."""
    if not any(node.args.get(part) is not None for part in ("order", "limit", "offset")):
        return relation
    name = context.new_name()
    scope = Scope()
    scope.sources.append(relation.source(name, None))
    columns = [column.value for column in scope.sources[0].columns]
    items: list[Item] = [(None, fragment) for fragment in columns]
    order = node.args.get("order")
    order_text = "" if order is None else _order_by_columns(context, scope, order, items)
    sql = f"SELECT * FROM ({relation.sql}) {name}{order_text}{limit_sql(context, node)}"
    return msgspec.structs.replace(relation, sql=sql)


def _order_by_columns(context: Context, scope: Scope, order: exp.Order, items: list[Item]) -> str:
    keys = []
    for ordered in order.expressions:
        number = ordered.this
        if isinstance(number, exp.Literal) and not number.is_string:
            fragment = _item_at(context, number, items)
        else:
            fragment = translate(context, scope, number)
        keys += ordered_keys(context, ordered, fragment)
    return f" ORDER BY {', '.join(keys)}"


def _combined(context: Context, node: exp.SetOperation, outer: Scope | None) -> Relation:
    """Returns UNION, INTERSECT or EXCEPT. Long chains lean to the left and are handled in one loop."""
    operands: list[exp.Expr] = []
    rest: exp.Expr = node
    while (
        type(rest) is type(node)
        and rest.args.get("distinct") == node.args.get("distinct")
        and (rest is node or not any(rest.args.get(part) for part in ("order", "limit", "offset", "with_")))
    ):
        operands.append(rest.expression)
        rest = rest.this
    relations = [query_relation(context, each, outer) for each in (rest, *reversed(operands))]
    counts = {len(relation.types) for relation in relations}
    if len(counts) > 1:
        raise refused(context.text, node, "The queries have different numbers of columns.")
    word = {"Union": "UNION", "Intersect": "INTERSECT", "Except": "EXCEPT"}[type(node).__name__]
    if word != "UNION" and not node.args.get("distinct"):
        raise refused(context.text, node, f"{word} ALL is not supported; BigQuery has {word} DISTINCT.")
    return _limited(context, node, _united(context, node, relations, word))


def _united(context: Context, node: exp.SetOperation, relations: list[Relation], word: str) -> Relation:
    columns = zip(*(relation.types for relation in relations), strict=True)
    types = tuple(
        supertype(context, [node], [Fragment("", type_) for type_ in column], f"Column {index + 1}")
        for index, column in enumerate(columns)
    )
    glue = f" {word}{'' if node.args.get('distinct') else ' ALL'} "
    parts = []
    for relation in relations:
        name = context.new_name()
        cast = ", ".join(
            f"{in_type(context, node, Fragment(f'{name}.c{index}', own), type_)} AS c{index}"
            for index, (own, type_) in enumerate(zip(relation.types, types, strict=True))
        )
        parts.append(f"SELECT {cast} FROM ({relation.sql}) {name}")
    if glue != " UNION ALL " and not all(is_orderable(type_) for type_ in types):
        raise refused(
            context.text, node, f"{word} DISTINCT is not supported for arrays, structs and geographies."
        )
    return Relation(f"SELECT * FROM ({glue.join(parts)}) {context.new_name()}", relations[0].names, types)
