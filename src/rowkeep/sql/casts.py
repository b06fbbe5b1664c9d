"""CAST and SAFE_CAST: the allowed pairs of types, and the exact texts that BigQuery takes.

DuckDB's own casts take more than BigQuery's: `infinity` as a date, `1e3` as an integer, `yes` as a boolean.
So texts go through functions of ours, and what they do not take is an error, or NULL for SAFE_CAST.
"""

from sqlglot import exp

from rowkeep.sql.dates import formatted
from rowkeep.sql.errors import refused
from rowkeep.sql.expressions import handles, translate
from rowkeep.sql.fragments import Context, Fragment, Scope, cast_sql, null_of, quoted
from rowkeep.sql.literals import literal_text_in_type
from rowkeep.sql.types import (
    BOOL,
    BYTES,
    DATE,
    DATETIME,
    FLOAT64,
    GEOGRAPHY,
    INT64,
    NUMERIC,
    STRING,
    TIME,
    TIMESTAMP,
    UNTYPED,
    SqlType,
    array_of,
)

_NAMES = {
    "BIGINT": INT64, "INT": INT64, "SMALLINT": INT64, "TINYINT": INT64, "DOUBLE": FLOAT64, "DECIMAL": NUMERIC,
    "BOOLEAN": BOOL, "TEXT": STRING, "BINARY": BYTES, "VARBINARY": BYTES, "DATE": DATE, "TIMESTAMP": DATETIME,
    "DATETIME": DATETIME, "TIMESTAMPTZ": TIMESTAMP, "TIME": TIME, "GEOGRAPHY": GEOGRAPHY,
}  # fmt: skip

# From a type and to one: the SQL, and the SQL whose failures are NULL.
_SAME = ("{0}", "{0}")
# The short way for what most texts are.
_DIGITS = "regexp_full_match({0}, '[+-]?[0-9]{{1,18}}')"
_DECIMAL = "regexp_full_match({0}, '[+-]?[0-9]{{1,15}}([.][0-9]{{1,15}})?')"
# A function in Python cannot give NaN: DuckDB takes it for NULL.
_NAN = "WHEN regexp_full_match(bq_trim({0}), '(?i)[+-]?nan') THEN CAST('nan' AS DOUBLE)"
_CASTS: dict[tuple[str, str], tuple[str, str]] = {
    ("STRING", "INT64"): (
        f"CASE WHEN {_DIGITS} THEN CAST({{0}} AS BIGINT) ELSE bq_integer({{0}}) END",
        f"CASE WHEN {_DIGITS} THEN CAST({{0}} AS BIGINT) ELSE TRY(bq_integer({{0}})) END",
    ),
    ("STRING", "FLOAT64"): (
        f"CASE WHEN {_DECIMAL} THEN CAST({{0}} AS DOUBLE) {_NAN} ELSE bq_float({{0}}) END",
        f"CASE WHEN {_DECIMAL} THEN CAST({{0}} AS DOUBLE) {_NAN} ELSE TRY(bq_float({{0}})) END",
    ),
    ("STRING", "NUMERIC"): (
        "CAST(bq_numeric({0}) AS DECIMAL(38,9))",
        "TRY_CAST(TRY(bq_numeric({0})) AS DECIMAL(38,9))",
    ),
    ("STRING", "BOOL"): (
        "CASE WHEN {0} IS NULL THEN NULL WHEN lower({0}) = 'true' THEN TRUE "
        "WHEN lower({0}) = 'false' THEN FALSE ELSE error('Bad bool value: ' || {0}) END",
        "CASE lower({0}) WHEN 'true' THEN TRUE WHEN 'false' THEN FALSE END",
    ),
    ("STRING", "BYTES"): ("encode({0})", "encode({0})"),
    ("STRING", "DATE"): ("bq_date_of_text({0})", "TRY(bq_date_of_text({0}))"),
    ("STRING", "DATETIME"): ("bq_datetime_of_text({0})", "TRY(bq_datetime_of_text({0}))"),
    ("STRING", "TIMESTAMP"): ("bq_timestamp({0})", "TRY(bq_timestamp({0}))"),
    ("STRING", "TIME"): ("bq_time_of_text({0})", "TRY(bq_time_of_text({0}))"),
    ("BYTES", "STRING"): ("decode({0})", "TRY(decode({0}))"),
    ("INT64", "FLOAT64"): ("CAST({0} AS DOUBLE)",) * 2,
    ("INT64", "NUMERIC"): ("CAST({0} AS DECIMAL(38,9))",) * 2,
    ("INT64", "BOOL"): ("({0} <> 0)",) * 2,
    ("INT64", "STRING"): ("CAST({0} AS VARCHAR)",) * 2,
    ("NUMERIC", "INT64"): ("CAST(round({0}) AS BIGINT)", "TRY_CAST(round({0}) AS BIGINT)"),
    ("NUMERIC", "FLOAT64"): ("CAST({0} AS DOUBLE)",) * 2,
    ("NUMERIC", "STRING"): ("bq_numeric_text(CAST({0} AS VARCHAR))",) * 2,
    ("FLOAT64", "INT64"): ("CAST(round({0}) AS BIGINT)", "TRY_CAST(round({0}) AS BIGINT)"),
    ("FLOAT64", "NUMERIC"): ("CAST({0} AS DECIMAL(38,9))", "TRY_CAST({0} AS DECIMAL(38,9))"),
    ("FLOAT64", "STRING"): ("bq_float_text({0})",) * 2,
    ("BOOL", "INT64"): ("CAST({0} AS BIGINT)",) * 2,
    ("BOOL", "STRING"): ("CAST({0} AS VARCHAR)",) * 2,
    ("DATE", "STRING"): ("CAST({0} AS VARCHAR)",) * 2,
    ("DATE", "DATETIME"): ("CAST({0} AS TIMESTAMP)",) * 2,
    ("DATE", "TIMESTAMP"): ("CAST({0} AS TIMESTAMP)",) * 2,
    ("DATETIME", "STRING"): ("bq_datetime_text(epoch_us({0}))",) * 2,
    ("DATETIME", "DATE"): ("CAST({0} AS DATE)",) * 2,
    ("DATETIME", "TIME"): ("CAST({0} AS TIME)",) * 2,
    ("DATETIME", "TIMESTAMP"): _SAME,
    ("TIMESTAMP", "STRING"): ("bq_timestamp_text(epoch_us({0}))",) * 2,
    ("TIMESTAMP", "DATE"): ("CAST({0} AS DATE)",) * 2,
    ("TIMESTAMP", "TIME"): ("CAST({0} AS TIME)",) * 2,
    ("TIMESTAMP", "DATETIME"): _SAME,
    ("TIME", "STRING"): ("bq_time_text(epoch_us({0}))",) * 2,
}


def listed_casts() -> list[tuple[str, str]]:
    """Returns the pairs of types that can be cast, for the documentation."""
    return list(_CASTS)


def named_type(context: Context, node: exp.DataType) -> SqlType:
    """Returns the type that a query names. Raises QueryRefused for an unsupported one."""
    name = getattr(node.this, "value", str(node.this))
    if name == "ARRAY" and len(node.expressions) == 1:
        return array_of(named_type(context, node.expressions[0]))
    if name == "STRUCT":
        return SqlType("STRUCT", fields=tuple(_field(context, field) for field in node.expressions))
    type_ = _NAMES.get(name)
    if type_ is None or node.expressions:
        raise refused(context.text, node, f"The type {node.sql(dialect='bigquery')} is not supported.")
    return type_


def _field(context: Context, node: exp.Expr) -> tuple[str, SqlType]:
    if isinstance(node, exp.ColumnDef):
        return node.name, named_type(context, node.args["kind"])
    if isinstance(node, exp.DataType):
        return "", named_type(context, node)
    raise refused(context.text, node, "A field of a STRUCT is a name and a type.")


@handles("Cast", "TryCast")
def _cast(context: Context, scope: Scope, node: exp.Cast) -> Fragment:
    value = translate(context, scope, node.this)
    target = named_type(context, node.args["to"])
    is_safe = isinstance(node, exp.TryCast)
    if node.args.get("format") is not None:
        return _formatted(context, node, value, target)
    return Fragment(
        cast(context, node, value, target, is_safe=is_safe), target, is_plain=value.is_plain and not is_safe
    )


def cast(context: Context, node: exp.Expr, value: Fragment, target: SqlType, *, is_safe: bool) -> str:
    """Returns the SQL of a fragment cast to another type on request. Raises QueryRefused."""
    if value.type == target:
        return value.sql
    if value.type == UNTYPED:
        return null_of(target)
    if target.element is not None or target.fields:
        return _nested_cast(context, node, value, target)
    if value.text is not None and target in (DATE, DATETIME, TIME, TIMESTAMP) and not is_safe:
        return literal_text_in_type(context, node, value.text, target)
    templates = _CASTS.get((value.type.name, target.name))
    if templates is None or value.type.element is not None or value.type.fields:
        raise refused(context.text, node, f"{value.type} cannot be cast to {target}.")
    template = templates[1 if is_safe else 0].replace("{{", "\x01").replace("}}", "\x02")
    return f"({template.replace('{0}', value.sql)})".replace("\x01", "{").replace("\x02", "}")


def _nested_cast(context: Context, node: exp.Expr, value: Fragment, target: SqlType) -> str:
    if target.element is not None and value.type.element is not None and value.type.element.name == "NULL":
        return cast_sql(value.sql, target)
    if target.fields and len(target.fields) == len(value.type.fields):
        parts = []
        for index, ((_, source), (_, wanted)) in enumerate(
            zip(value.type.fields, target.fields, strict=True)
        ):
            field = Fragment(f"struct_extract({value.sql}, 'f{index}')", source)
            parts.append(f"f{index} := {cast(context, node, field, wanted, is_safe=False)}")
        return f"struct_pack({', '.join(parts)})"
    raise refused(context.text, node, f"{value.type} cannot be cast to {target}.")


_PARTS = {
    "YYYY": "%Y", "YY": "%y", "MM": "%m", "MON": "%b", "MONTH": "%B", "DD": "%d", "DAY": "%A", "DY": "%a",
    "DDD": "%j", "HH24": "%H", "HH12": "%I", "HH": "%I", "MI": "%M", "SS": "%S",
}  # fmt: skip


def _formatted(context: Context, node: exp.Cast, value: Fragment, target: SqlType) -> Fragment:
    """Returns CAST(x AS STRING FORMAT '...') of dates and times. The parts must be in upper case."""
    format_ = node.args["format"]
    kinds = {"DATE": "date", "DATETIME": "datetime", "TIMESTAMP": "timestamp", "TIME": "time"}
    if target != STRING or value.type.name not in kinds or not isinstance(format_, exp.Literal):
        raise refused(
            context.text,
            node,
            "CAST with FORMAT is supported from dates and times to STRING; see FORMAT_DATE.",
        )
    elements = _elements(context, node, str(format_.this))
    return formatted(value, quoted(elements), quoted("UTC"))


def _elements(context: Context, node: exp.Expr, text: str) -> str:
    made = ""
    while text:
        for name in sorted(_PARTS, key=len, reverse=True):
            if text.startswith(name) and name not in ("MON", "MONTH", "DAY", "DY"):
                made, text = made + _PARTS[name], text[len(name) :]
                break
        else:
            if text[0] not in "-/.,:; T":
                raise refused(context.text, node, f"FORMAT: {text!r} begins with no part that is supported.")
            made, text = made + text[0], text[1:]
    return made
