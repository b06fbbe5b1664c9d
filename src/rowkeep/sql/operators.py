"""Operators: comparing, calculating, logic, patterns, membership."""

from sqlglot import exp

from rowkeep.sql.dates import with_interval
from rowkeep.sql.errors import refused
from rowkeep.sql.expressions import as_type, handles, in_type, supertype, translate
from rowkeep.sql.fragments import Context, Fragment, Scope, cast_sql
from rowkeep.sql.types import (
    BOOL,
    BYTES,
    DATE,
    DATETIME,
    FLOAT64,
    INT64,
    NUMERIC,
    STRING,
    UNTYPED,
    SqlType,
    array_of,
    is_number,
    is_orderable,
)

LEAVES_MAX = 8
_COMPARISONS = {"EQ": "=", "NEQ": "<>", "GT": ">", "GTE": ">=", "LT": "<", "LTE": "<="}
_ARITHMETIC = {"Add": "+", "Sub": "-", "Mul": "*", "Div": "/"}
_BITWISE = {
    "BitwiseAnd": "&",
    "BitwiseOr": "|",
    "BitwiseXor": "xor",
    "BitwiseLeftShift": "<<",
    "BitwiseRightShift": ">>",
}


def condition(context: Context, scope: Scope, node: exp.Expr, what: str) -> str:
    """Returns an expression that must be true or false."""
    return as_type(context, node, translate(context, scope, node), BOOL, what)


@handles("And", "Or")
def _logic(context: Context, scope: Scope, node: exp.Binary) -> Fragment:
    word = "AND" if isinstance(node, exp.And) else "OR"
    # Long chains lean to the left: one level for each link would be too deep for a call each.
    operands: list[exp.Expr] = []
    rest: exp.Expr = node
    while isinstance(rest, type(node)):
        operands.append(rest.expression)
        rest = rest.this
    operands.append(rest)
    parts = [condition(context, scope, operand, f"What {word} joins") for operand in reversed(operands)]
    return Fragment(f"({f' {word} '.join(parts)})", BOOL)


@handles("Not")
def _not(context: Context, scope: Scope, node: exp.Not) -> Fragment:
    return Fragment(f"(NOT {condition(context, scope, node.this, 'What NOT turns')})", BOOL)


@handles(*_COMPARISONS)
def _comparison(context: Context, scope: Scope, node: exp.Binary) -> Fragment:
    if isinstance(node.expression, exp.Any | exp.All):
        raise refused(context.text, node, "ANY and ALL are supported with LIKE only; use IN or EXISTS.")
    one, other = translate(context, scope, node.this), translate(context, scope, node.expression)
    return compared(context, node, one, other, _COMPARISONS[type(node).__name__])


def compared(context: Context, node: exp.Expr, one: Fragment, other: Fragment, sign: str) -> Fragment:
    """Returns the comparison of two fragments, with BigQuery's meaning."""
    type_ = supertype(context, [node], [one, other], f"Comparing with {sign}")
    if not is_orderable(type_):
        raise refused(context.text, node, f"Values of type {type_} cannot be compared.")
    left, right = in_type(context, node, one, type_), in_type(context, node, other, type_)
    sql = f"({left} {sign} {right})"
    if type_ == FLOAT64:
        sql = _without_nan(sql, sign, (left, one.is_literal), (right, other.is_literal))
    return Fragment(sql, BOOL)


def _without_nan(sql: str, sign: str, left: tuple[str, bool], right: tuple[str, bool]) -> str:
    """Returns a comparison that never holds for NaN, as in BigQuery.

    DuckDB puts NaN behind all numbers and finds it equal to itself.
    """
    # Which side can make DuckDB's answer wrong when it is NaN. A literal is never NaN.
    (left_sql, left_is_literal), (right_sql, right_is_literal) = left, right
    sides = {">": "l", ">=": "lr", "<": "r", "<=": "lr", "=": "b", "<>": "b"}[sign]
    if sides == "b":
        if left_is_literal or right_is_literal:
            return sql
        if sign == "=":
            return f"({sql} AND (NOT isnan({left_sql}) OR {right_sql} IS NULL))"
        return f"({sql} OR (isnan({left_sql}) AND {right_sql} IS NOT NULL))"
    guards = []
    if ("l" in sides) and not left_is_literal:
        guards.append((left_sql, right_sql))
    if ("r" in sides or sign in ("<=",)) and not right_is_literal:
        guards.append((right_sql, left_sql))
    for value, beside in guards:
        sql = f"({sql} AND (NOT isnan({value}) OR {beside} IS NULL))"
    return sql


@handles("Between")
def _between(context: Context, scope: Scope, node: exp.Between) -> Fragment:
    value = translate(context, scope, node.this)
    low = compared(context, node, value, translate(context, scope, node.args["low"]), ">=")
    high = compared(context, node, value, translate(context, scope, node.args["high"]), "<=")
    return Fragment(f"({low.sql} AND {high.sql})", BOOL)


@handles("Is")
def _is(context: Context, scope: Scope, node: exp.Is) -> Fragment:
    value = translate(context, scope, node.this)
    if isinstance(node.expression, exp.Null):
        return Fragment(f"({value.sql} IS NULL)", BOOL)
    if isinstance(node.expression, exp.Boolean):
        word = "TRUE" if node.expression.this else "FALSE"
        sql = as_type(context, node, value, BOOL, f"What IS {word} asks about")
        return Fragment(f"({sql} IS {word})", BOOL)
    raise refused(context.text, node, "IS is followed by NULL, TRUE, FALSE or DISTINCT FROM.")


@handles("NullSafeEQ", "NullSafeNEQ")
def _distinct_from(context: Context, scope: Scope, node: exp.Binary) -> Fragment:
    one, other = translate(context, scope, node.this), translate(context, scope, node.expression)
    type_ = supertype(context, [node], [one, other], "IS DISTINCT FROM")
    left, right = in_type(context, node, one, type_), in_type(context, node, other, type_)
    word = "IS NOT DISTINCT FROM" if isinstance(node, exp.NullSafeEQ) else "IS DISTINCT FROM"
    return Fragment(f"({left} {word} {right})", BOOL)


@handles("In")
def _in(context: Context, scope: Scope, node: exp.In) -> Fragment:
    value = translate(context, scope, node.this)
    array = node.args.get("unnest")
    if array is not None:
        return _in_array(context, scope, node, value, array)
    query = node.args.get("query")
    if query is not None:
        return _in_query(context, scope, node, value, query)
    options = [translate(context, scope, option) for option in node.expressions]
    type_ = supertype(context, [node], [value, *options], "IN")
    if not is_orderable(type_):
        raise refused(context.text, node, f"Values of type {type_} cannot be compared.")
    parts = ", ".join(in_type(context, node, option, type_) for option in options)
    return Fragment(f"({in_type(context, node, value, type_)} IN ({parts}))", BOOL)


def _in_array(
    context: Context, scope: Scope, node: exp.In, value: Fragment, array_node: exp.Expr
) -> Fragment:
    if isinstance(array_node, exp.Unnest):
        array_node = array_node.expressions[0]
    array = translate(context, scope, array_node)
    if array.type.element is None:
        raise refused(context.text, node, f"IN UNNEST needs an array, not {array.type}.")
    if array.type.element == UNTYPED:
        array = Fragment(cast_sql(array.sql, array_of(value.type)), array_of(value.type))
    sql = as_type(context, node, value, array.type.element or value.type, "What IN looks for")
    found = f"list_contains({array.sql}, {sql})"
    null_among = f"len(list_filter({array.sql}, lambda e: e IS NULL)) > 0"
    return Fragment(
        f"(CASE WHEN {array.sql} IS NULL OR len({array.sql}) = 0 THEN FALSE WHEN {sql} IS NULL THEN NULL "
        f"WHEN {found} THEN TRUE WHEN {null_among} THEN NULL ELSE FALSE END)",
        BOOL,
    )


def _in_query(context: Context, scope: Scope, node: exp.In, value: Fragment, query: exp.Expr) -> Fragment:
    relation = context.query_relation(scope, query)
    if len(relation.types) != 1:
        raise refused(context.text, node, "A query in IN has one column.")
    found = Fragment("c0", relation.types[0])
    type_ = supertype(context, [node], [value, found], "IN")
    inner = f"SELECT {in_type(context, node, found, type_)} FROM ({relation.sql}) {context.new_name()}"
    return Fragment(f"({in_type(context, node, value, type_)} IN ({inner}))", BOOL)


@handles("Exists")
def _exists(context: Context, scope: Scope, node: exp.Exists) -> Fragment:
    relation = context.query_relation(scope, node.this)
    return Fragment(f"EXISTS ({relation.sql})", BOOL)


@handles("Subquery", "Select", "Union", "Intersect", "Except")
def _scalar_query(context: Context, scope: Scope, node: exp.Expr) -> Fragment:
    relation = context.query_relation(scope, node)
    if len(relation.types) != 1:
        raise refused(context.text, node, "A query that stands for a value has one column.")
    return Fragment(f"({relation.sql})", relation.types[0])


@handles("ArrayQuery")
def _array_query(context: Context, scope: Scope, node: exp.Expr) -> Fragment:
    relation = context.query_relation(scope, node)
    if len(relation.types) != 1:
        raise refused(context.text, node, "ARRAY(query) needs a query with one column.")
    name = context.new_name()
    numbered = f"SELECT c0, row_number() OVER () AS n FROM ({relation.sql}) {context.new_name()}"
    sql = f"coalesce((SELECT list({name}.c0 ORDER BY {name}.n) FROM ({numbered}) {name}), [])"
    return Fragment(sql, array_of(relation.types[0]))


# Patterns and texts


@handles("Like", "LikeAny")
def _like(context: Context, scope: Scope, node: exp.Binary) -> Fragment:
    value = as_type(context, node, translate(context, scope, node.this), STRING, "What LIKE looks at")
    patterns = node.expression
    if isinstance(patterns, exp.Any | exp.All):
        word = " AND " if isinstance(patterns, exp.All) else " OR "
        listed = patterns.this
        options = listed.expressions if isinstance(listed, exp.Tuple) else [listed.unnest()]
    else:
        word = " OR "
        options = patterns.expressions if isinstance(patterns, exp.Tuple) else [patterns]
    parts = [_like_one(context, scope, node, value, option) for option in options]
    sql = f"({word.join(parts)})"
    return Fragment(f"(NOT {sql})" if node.args.get("negate") else sql, BOOL)


def _like_one(context: Context, scope: Scope, node: exp.Expr, value: str, option: exp.Expr) -> str:
    found = translate(context, scope, option)
    pattern = as_type(context, node, found, STRING, "A pattern of LIKE")
    # Without ESCAPE, DuckDB finds prefixes and parts faster; without a backslash both mean one thing.
    escape = "" if found.text is not None and "\\" not in found.text else " ESCAPE '\\'"
    return f"({value} LIKE {pattern}{escape})"


@handles("DPipe")
def _joined_texts(context: Context, scope: Scope, node: exp.Binary) -> Fragment:
    one, other = translate(context, scope, node.this), translate(context, scope, node.expression)
    if one.type.element is not None or other.type.element is not None:
        type_ = one.type if one.type.element is not None else other.type
    elif BYTES in (one.type, other.type):
        type_ = BYTES
    else:
        type_ = STRING
    left = as_type(context, node, one, type_, "What || joins")
    right = as_type(context, node, other, type_, "What || joins")
    return Fragment(f"({left} || {right})", type_)


# Numbers


@handles("Neg")
def _negative(context: Context, scope: Scope, node: exp.Neg) -> Fragment:
    if isinstance(node.this, exp.Literal) and str(node.this.this) == str(2**63):
        return Fragment("CAST('-9223372036854775808' AS BIGINT)", INT64, is_literal=True, is_plain=True)
    value = translate(context, scope, node.this)
    if value.type == UNTYPED:
        return value
    if not is_number(value.type):
        raise refused(context.text, node, f"A minus sign needs a number, not {value.type}.")
    return Fragment(f"(-{value.sql})", value.type, is_literal=value.is_literal, is_plain=value.is_plain)


@handles(*_ARITHMETIC)
def _arithmetic(context: Context, scope: Scope, node: exp.Binary) -> Fragment:
    sign = _ARITHMETIC[type(node).__name__]
    if isinstance(node.expression, exp.Interval) and sign in "+-":
        return with_interval(context, scope, node, sign)
    one, other = _operand(context, scope, node.this), _operand(context, scope, node.expression)
    if sign in "+-" and one.type == DATE and other.type == INT64:
        days = f"{other.sql} {'' if sign == '+' else '* -1'}"
        return Fragment(f"bq_date({one.sql} + to_days(CAST({days} AS INTEGER)))", DATE)
    type_ = supertype(context, [node], [one, other], f"Calculating with {sign}")
    if UNTYPED in (one.type, other.type) and type_ == UNTYPED:
        type_ = INT64
    if not is_number(type_):
        raise refused(
            context.text,
            node,
            f"{sign} does not calculate with {one.type} and {other.type}.{_advice(one.type, other.type)}",
        )
    if sign == "/":
        return _divided(context, node, one, other, type_)
    left, right = in_type(context, node, one, type_), in_type(context, node, other, type_)
    sql = f"({left} {sign} {right})"
    if type_ == NUMERIC:
        return Fragment(f"CAST({sql} AS DECIMAL(38,9))", NUMERIC)
    if type_ == FLOAT64:
        return _finite(node, sql, _leaves(one, left), _leaves(other, right))
    return Fragment(sql, INT64)


def _operand(context: Context, scope: Scope, node: exp.Expr) -> Fragment:
    return translate(context, scope, node)


def _advice(one: SqlType, other: SqlType) -> str:
    if DATE in (one, other) or DATETIME in (one, other):
        return " Use DATE_DIFF, DATE_ADD and their kin."
    return " Use CONCAT or || for texts." if STRING in (one, other) else ""


def _divided(context: Context, node: exp.Expr, one: Fragment, other: Fragment, type_: SqlType) -> Fragment:
    if type_ == NUMERIC:
        raise refused(context.text, node, "Dividing NUMERIC is not supported; cast to FLOAT64.")
    left, right = in_type(context, node, one, FLOAT64), in_type(context, node, other, FLOAT64)
    if other.is_literal and other.is_plain and other.type == INT64 and other.sql != "CAST(0 AS BIGINT)":
        return _finite(node, f"({left} / {right})", _leaves(one, left), ())
    sql = f"(CASE WHEN {right} = 0 THEN error('division by zero') ELSE {left} / {right} END)"
    return _finite(node, sql, _leaves(one, left), _leaves(other, right))


def _leaves(fragment: Fragment, sql: str) -> tuple[str, ...]:
    """Returns the parts of an operand that may be infinite or NaN without a calculation of ours."""
    if fragment.type != FLOAT64 or fragment.is_literal:
        return ()
    return fragment.leaves or (sql,)


def _finite(node: exp.Expr, sql: str, *leaves: tuple[str, ...]) -> Fragment:
    """Returns a calculation with floating point numbers. Only the outermost one is checked for overflow."""
    listed = tuple(dict.fromkeys(leaf for group in leaves for leaf in group))
    parent = node.parent
    while isinstance(parent, exp.Paren | exp.Neg):
        parent = parent.parent
    if type(parent).__name__ in _ARITHMETIC:
        return Fragment(sql, FLOAT64, leaves=listed)
    # With many operands an infinity among them is refused too: telling them apart would take too long.
    finite = "".join(f" AND isfinite({leaf})" for leaf in listed if len(listed) <= LEAVES_MAX)
    checked = f"(CASE WHEN NOT isfinite({sql}){finite} THEN error('floating point overflow') ELSE {sql} END)"
    return Fragment(checked, FLOAT64)


@handles(*_BITWISE)
def _bitwise(context: Context, scope: Scope, node: exp.Binary) -> Fragment:
    sign = _BITWISE[type(node).__name__]
    left = as_type(context, node, translate(context, scope, node.this), INT64, f"What {sign} joins")
    right = as_type(context, node, translate(context, scope, node.expression), INT64, f"What {sign} joins")
    if sign == "xor":
        return Fragment(f"xor({left}, {right})", INT64)
    if sign == "<<":
        return Fragment(f"bq_shift_left({left}, {right})", INT64)
    if sign == ">>":
        return Fragment(f"bq_shift_right({left}, {right})", INT64)
    return Fragment(f"({left} {sign} {right})", INT64)


@handles("BitwiseNot")
def _bitwise_not(context: Context, scope: Scope, node: exp.BitwiseNot) -> Fragment:
    return Fragment(
        f"(~{as_type(context, node, translate(context, scope, node.this), INT64, 'What ~ turns')})", INT64
    )
