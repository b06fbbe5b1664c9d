"""The gate: a text becomes one statement that only reads, or it is refused by name and place.

The text is parsed with sqlglot's BigQuery parser, with one difference: no function means anything to it.
A call stays a name and its arguments as they were written, and what a name means is decided in one place:
the list of functions (signatures.py). sqlglot would turn calls into nodes of its own that lose things.

Then every node must be of a class that is listed here, and every part of it that is filled must be listed
too: a clause that nothing downstream looks at would otherwise be left out without a word. Nothing is allowed
because nobody thought of it.
"""

import logging
from collections.abc import Iterator
from typing import Any, ClassVar

import msgspec
from sqlglot import exp
from sqlglot.dialects.bigquery import BigQuery
from sqlglot.errors import ParseError, TokenError
from sqlglot.parsers.bigquery import BigQueryParser
from sqlglot.tokenizer_core import TokenType

from rowkeep.sql.errors import QueryRefused, at, refused

QUERY_CHARACTERS_MAX = 256_000
NODES_MAX = 100_000
DEPTH_MAX = 500

_BINARY = ("this", "expression")
_UNARY = ("this",)
# Node classes, and the parts of each that are looked at downstream.
ALLOWED: dict[str, tuple[str, ...]] = {
    # queries
    "Select": [
        "expressions",
        "from_",
        "joins",
        "where",
        "group",
        "having",
        "qualify",
        "windows",
        "order",
        "limit",
        "offset",
        "distinct",
        "with_",
    ],  # type: ignore[dict-item]
    "Union": ("this", "expression", "distinct", "order", "limit", "offset", "with_"),
    "Intersect": ("this", "expression", "distinct", "order", "limit", "offset", "with_"),
    "Except": ("this", "expression", "distinct", "order", "limit", "offset", "with_"),
    "Subquery": ("this", "alias", "order", "limit", "offset", "with_", "pivots"),
    "With": ("expressions",),
    "CTE": ("this", "alias"),
    "From": _UNARY,
    "Join": ("this", "side", "kind", "on", "using"),
    "Table": ("this", "db", "catalog", "alias", "pivots"),
    "TableAlias": ("this", "columns"),
    "Unnest": ("expressions", "alias", "offset", "explode_array"),
    "Pivot": ("expressions", "fields", "alias", "columns", "prefixed_pivot_columns", "pivot_column_naming"),
    "PivotAlias": ("this", "alias"),
    "Where": _UNARY,
    "Group": ("expressions", "rollup", "all"),
    "Rollup": ("expressions",),
    "Having": _UNARY,
    "Qualify": _UNARY,
    "Order": ("this", "expressions"),
    "Ordered": ("this", "desc", "nulls_first"),
    "Limit": ("this", "expression"),
    "Offset": ("expression",),
    "Distinct": ("expressions",),
    "Star": ("except_", "replace"),
    "Alias": ("this", "alias"),
    # windows
    "Window": ("this", "partition_by", "order", "spec", "over", "alias"),
    "WindowSpec": ("kind", "start", "start_side", "end", "end_side"),
    "IgnoreNulls": _UNARY,
    "RespectNulls": _UNARY,
    # names and values
    "Identifier": ("this", "quoted"),
    "Column": ("this", "table", "db", "catalog"),
    "Dot": ("this", "expression"),
    "Var": _UNARY,
    "Literal": ("this", "is_string"),
    "RawString": _UNARY,
    "ByteString": ("this", "is_bytes"),
    "HexString": ("this", "is_integer"),
    "Boolean": _UNARY,
    "Null": (),
    "Parameter": _UNARY,
    "Placeholder": (),
    "Array": ("expressions", "value_constructor", "struct_name_inheritance"),
    "Struct": ("expressions",),
    "PropertyEQ": _BINARY,
    "Tuple": ("expressions",),
    "DataType": ("this", "expressions", "nested", "values"),
    "DataTypeParam": _UNARY,
    "ColumnDef": ("this", "kind"),
    "Interval": ("this", "unit"),
    # calls
    "Anonymous": ("this", "expressions"),
    "SafeFunc": _UNARY,
    "NetFunc": _UNARY,
    "Kwarg": _BINARY,
    "Cast": ("this", "to", "format"),
    "TryCast": ("this", "to", "format", "safe"),
    "Extract": _BINARY,
    "AtTimeZone": ("this", "zone"),
    "CurrentDate": (),
    "CurrentDatetime": (),
    "CurrentTimestamp": (),
    "CurrentTime": (),
    "Case": ("this", "ifs", "default"),
    "If": ("this", "true", "false"),
    "Bracket": ("this", "expressions", "offset", "safe"),
    # operators
    "Paren": _UNARY,
    "Not": _UNARY,
    "Neg": _UNARY,
    "BitwiseNot": _UNARY,
    "In": ("this", "expressions", "query", "unnest"),
    "Like": ("this", "expression", "negate"),
    "Between": ("this", "low", "high"),
    "DPipe": ("this", "expression", "safe"),
    "Exists": _UNARY,
    "Any": _UNARY,
    "All": _UNARY,
    **dict.fromkeys(
        [
            "And",
            "Or",
            "EQ",
            "NEQ",
            "GT",
            "GTE",
            "LT",
            "LTE",
            "Is",
            "Add",
            "Sub",
            "Mul",
            "Div",
            "BitwiseAnd",
            "BitwiseOr",
            "BitwiseXor",
            "BitwiseLeftShift",
            "BitwiseRightShift",
            "NullSafeEQ",
            "NullSafeNEQ",
        ],
        _BINARY,
    ),
}

# What a reader is told a node is. A class that is not here is named by its class.
_CLAUSES = {
    "TableSample": "TABLESAMPLE",
    "Lock": "FOR UPDATE",
    "Create": "CREATE",
    "Insert": "INSERT",
    "Update": "UPDATE",
    "Delete": "DELETE",
    "Merge": "MERGE",
    "Drop": "DROP",
    "Alter": "ALTER",
    "Declare": "DECLARE",
    "Set": "SET",
    "Copy": "COPY",
    "Attach": "ATTACH",
    "Command": "This statement",
    "Export": "EXPORT DATA",
    "Cube": "GROUP BY CUBE",
    "GroupingSets": "GROUPING SETS",
    "Values": "VALUES",
    "ILike": "ILIKE",
    "Collate": "COLLATE",
    "Lambda": "A lambda",
    "Mod": "The operator % (use MOD)",
}


class GateParser(BigQueryParser):
    """The parser. It reads every function as a name and its arguments."""

    FUNCTIONS: ClassVar[dict[str, Any]] = {}
    FUNCTION_PARSERS: ClassVar[dict[str, Any]] = {
        "ARRAY": BigQueryParser.FUNCTION_PARSERS["ARRAY"],
        "CAST": lambda self: self.parse_cast(exp.Cast),
        "SAFE_CAST": lambda self: self.parse_cast(exp.TryCast),
        "EXTRACT": BigQueryParser.FUNCTION_PARSERS["EXTRACT"],
    }
    NO_PAREN_FUNCTION_PARSERS: ClassVar[dict[str, Any]] = {
        "ANY": BigQueryParser.NO_PAREN_FUNCTION_PARSERS["ANY"],
        "CASE": BigQueryParser.NO_PAREN_FUNCTION_PARSERS["CASE"],
    }

    def parse_cast(self, node: type[exp.Cast]) -> exp.Expr:
        """Returns the content of CAST's parentheses, as it is written."""
        this = self._parse_assignment()
        if not self._match(TokenType.ALIAS):
            self.raise_error("Expected AS in CAST")
        to = self._parse_types()
        format_ = None
        if self._match(TokenType.FORMAT):
            format_ = self._parse_at_time_zone(self._parse_string())
        return self.expression(node(this=this, to=to, format=format_))

    def _parse_interval(self, *options: Any, **named: Any) -> Any:
        """Returns `INTERVAL amount part`, as it is written."""
        is_required = options[0] if options else named.get("require_interval", True)
        index = self._index
        if not self._match(TokenType.INTERVAL) and is_required:
            return None
        this = self._parse_bitwise()
        unit = self._parse_var(any_token=True, upper=True) if this is not None else None
        if this is None or unit is None:
            self._retreat(index)
            return None
        if self._match_text_seq("TO"):
            self.raise_error("INTERVAL with a range of parts (TO) is not supported")
        return self.expression(exp.Interval(this=this, unit=unit))

    def _parse_table_parts(self, *arguments: Any, **options: Any) -> Any:
        """Returns a table, which remembers how its name was written."""
        first = self._curr
        table = super()._parse_table_parts(*arguments, **options)
        if isinstance(table, exp.Table) and first is not None:
            text = self.sql[first.start : self._prev.end + 1]
            table.meta["written"] = text
            table.meta["start"] = first.start
        return table


# The parser says so too of what it does not know; the caller hears it in an error of ours.
logging.getLogger("sqlglot").setLevel(logging.CRITICAL)


class GateDialect(BigQuery):
    """BigQuery's dialect with the parser above."""

    Parser = GateParser


class ParsedQuery(msgspec.Struct, frozen=True):
    """A statement that passed the gate. `own_names` are the names that WITH gives, in lower case."""

    text: str
    root: exp.Query
    tables: tuple[exp.Table, ...]
    own_names: frozenset[str]


def parse_query(text: str) -> ParsedQuery:
    """Returns a parsed statement after checking all of it. Raises QueryRefused."""
    root = parsed_statement(text)
    check_nodes(text, root)
    tables = tuple(root.find_all(exp.Table))
    for table in tables:
        if not isinstance(table.this, exp.Identifier | exp.Dot):
            raise refused(text, table, "Functions in FROM are not supported, other than UNNEST.")
    own_names = frozenset(named.alias.lower() for named in root.find_all(exp.CTE))
    return ParsedQuery(text, root, tables, own_names)


def parsed_statement(text: str) -> exp.Query:
    """Returns the one statement of a text. Raises QueryRefused unless it is a query."""
    if len(text) > QUERY_CHARACTERS_MAX:
        raise QueryRefused(
            f"A query has at most {QUERY_CHARACTERS_MAX:,} characters; this has {len(text):,}."
        )
    dialect = GateDialect()
    try:
        statements = [found for found in dialect.parse(text) if found is not None]
    except ParseError as error:
        raise _syntax_error(error) from error
    except TokenError as error:
        raise QueryRefused("A quote or a comment that is opened in the query is not closed.") from error
    except RecursionError as error:
        raise QueryRefused("The query is nested too deeply; put its parts into WITH.") from error
    if len(statements) != 1:
        raise QueryRefused(
            "The query is empty."
            if not statements
            else "Send one statement at a time, without others behind it."
        )
    return _query_of(text, statements[0])


def _query_of(text: str, statement: exp.Expr) -> exp.Query:
    while isinstance(statement, exp.Subquery | exp.Paren) and isinstance(statement.this, exp.Query):
        if any(value for key, value in statement.args.items() if key != "this"):
            break
        statement = statement.this
    if not isinstance(statement, exp.Query):
        name = _CLAUSES.get(type(statement).__name__, type(statement).__name__)
        raise refused(
            text, statement, f"{name} is not supported: a query reads, so it begins with SELECT or WITH."
        )
    return statement


def check_nodes(text: str, root: exp.Expr) -> None:
    """Checks that every node and every part of it is on the list. Raises QueryRefused."""
    for count, (node, depth) in enumerate(_nodes(root)):
        if count > NODES_MAX or depth > DEPTH_MAX:
            raise QueryRefused("The query is too large or nested too deeply; shorten it, or split it.")
        name = type(node).__name__
        parts = ALLOWED.get(name)
        if parts is None:
            raise refused(text, node, f"{_CLAUSES.get(name, _words(name))} is not supported.")
        for part, value in node.args.items():
            if value and part not in parts:
                raise refused(
                    text, node, f"{part.strip('_').upper()} is not supported here ({_words(name)})."
                )


def _nodes(root: exp.Expr) -> Iterator[tuple[exp.Expr, int]]:
    waiting = [(root, 0)]
    while waiting:
        node, depth = waiting.pop()
        yield node, depth
        for child in node.iter_expressions():
            # A chain of AND or OR leans to the left and is translated in one go.
            is_chain = isinstance(node, exp.And | exp.Or) and type(child) is type(node)
            waiting.append((child, depth if is_chain else depth + 1))


def _words(name: str) -> str:
    return "".join(f" {letter}" if letter.isupper() else letter for letter in name).strip().upper()


def _syntax_error(error: ParseError) -> QueryRefused:
    found = error.errors[0] if error.errors else {}
    line, column = found.get("line"), found.get("col")
    what = str(found.get("description") or error).split(" for <class")[0].split(". Line")[0]
    near = found.get("highlight")
    return QueryRefused(f"The query cannot be parsed: {what} near {near!r}.", line=line, column=column)


def reference_of(text: str, table: exp.Table) -> str:
    """Returns the name of a table as it was written, without its backticks."""
    written = table.meta.get("written")
    if not isinstance(written, str):
        raise refused(text, table, "A table is named in backticks: `owner.dataset.table`.")
    return ".".join(part.strip() for part in written.replace("`", "").split("."))


def position_of(text: str, node: exp.Expr) -> tuple[int, int] | None:
    """Returns line and column of a node, from 1, by its own place or its nearest part's.

    None when unknown.
    """
    starts = [found.meta["start"] for found in node.walk() if "start" in found.meta]
    return at(text, min(starts)) if starts else None
