"""Values as JSON text, for TO_JSON_STRING and for arrays and structs in a query's output."""

from sqlglot import exp

from rowkeep.sql.errors import refused
from rowkeep.sql.fragments import Context, Fragment, quoted
from rowkeep.sql.types import SqlType


def json_text(context: Context, node: exp.Expr, value: Fragment) -> str:
    """Returns the SQL of a value's JSON. NULL gives NULL."""
    return _json(context, node, value.sql, value.type, depth=0)


def _json(context: Context, node: exp.Expr, sql: str, type_: SqlType, *, depth: int) -> str:
    if type_.element is not None:
        name = f"e{depth}"
        element = _json(context, node, name, type_.element, depth=depth + 1)
        inner = f"array_to_string(list_transform({sql}, lambda {name}: coalesce({element}, 'null')), ',')"
        return f"('[' || {inner} || ']')"
    if type_.fields:
        parts = []
        for index, (name, field) in enumerate(type_.fields):
            inner = _json(context, node, f"struct_extract({sql}, 'f{index}')", field, depth=depth)
            label = quoted(f'{"," if index else ""}"{name}":')
            parts.append(f"{label} || coalesce({inner}, 'null')")
        return f"(CASE WHEN {sql} IS NOT NULL THEN '{{' || {' || '.join(parts)} || '}}' END)"
    return _scalar(context, node, sql, type_)


def _scalar(context: Context, node: exp.Expr, sql: str, type_: SqlType) -> str:
    simple = {
        "STRING": f"CAST(to_json({sql}) AS VARCHAR)",
        "GEOGRAPHY": f"CAST(to_json({sql}) AS VARCHAR)",
        "INT64": f"bq_json_integer({sql})",
        "NULL": "'null'",
        "BOOL": f"CAST({sql} AS VARCHAR)",
        "FLOAT64": f"bq_json_float({sql})",
        "NUMERIC": f"bq_numeric_text(CAST({sql} AS VARCHAR))",
        "DATE": f"('\"' || CAST({sql} AS VARCHAR) || '\"')",
        "TIME": f"('\"' || bq_time_text(epoch_us({sql})) || '\"')",
        "DATETIME": f"('\"' || replace(bq_datetime_text(epoch_us({sql})), ' ', 'T') || '\"')",
        "TIMESTAMP": f"('\"' || replace(bq_datetime_text(epoch_us({sql})), ' ', 'T') || 'Z\"')",
        "BYTES": f"('\"' || to_base64({sql}) || '\"')",
        "JSON": sql,
    }
    found = simple.get(type_.name)
    if found is None:
        raise refused(context.text, node, f"{type_} has no JSON here.")
    return found
