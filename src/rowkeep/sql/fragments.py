"""Pieces of translated SQL, each with its type.

A fragment's SQL can stand anywhere an operand can: it is a name, a literal, a call or in parentheses.
"""

import datetime
from collections.abc import Callable, Iterable

import msgspec
from sqlglot import exp

from rowkeep.sql.types import DUCKDB_TYPES, INT64, SqlType, duckdb_type

SQL_CHARACTERS_MAX = 4_000_000


class Fragment(msgspec.Struct, frozen=True):
    """An expression. A literal (`is_literal`) may turn into more types unasked; `text` is a literal text's.

    `is_plain` holds for names and literals: they cannot fail. `leaves` are the operands of a calculation with
    floating point numbers, which is checked for overflow as a whole.
    """

    sql: str
    type: SqlType
    is_literal: bool = False
    is_plain: bool = False
    text: str | None = None
    leaves: tuple[str, ...] = ()


class Column(msgspec.Struct, frozen=True):
    """A column of a source in FROM. Hidden ones (`is_hidden`) are not in `*`."""

    name: str | None
    value: Fragment
    is_hidden: bool = False


class Source(msgspec.Struct, frozen=True):
    """One source in FROM. `value` is what its name alone means; only UNNEST has that.

    The columns that USING merged are in a source of their own, `is_merged`.
    """

    alias: str | None
    columns: tuple[Column, ...]
    value: Fragment | None = None
    is_merged: bool = False


class Relation(msgspec.Struct, frozen=True):
    """A query or a table in DuckDB's SQL, with its columns. They are named c0, c1 and so on in `sql`."""

    sql: str
    names: tuple[str | None, ...]
    types: tuple[SqlType, ...]
    hidden: tuple[bool, ...] = ()

    def source(self, name: str, alias: str | None) -> Source:
        """Returns the relation as a source in FROM, under our name and the caller's alias."""
        hidden = self.hidden or (False,) * len(self.names)
        return Source(
            alias,
            tuple(
                Column(label, Fragment(f"{name}.c{index}", type_, is_plain=True), is_hidden)
                for index, (label, type_, is_hidden) in enumerate(
                    zip(self.names, self.types, hidden, strict=True)
                )
            ),
        )


class Scope:
    """The names that can be used at one place of a query:

    those of the sources in FROM and of outer queries.
    """

    def __init__(self, parent: "Scope | None" = None) -> None:
        self.parent = parent
        self.sources: list[Source] = []
        # SELECT's names, for GROUP BY, HAVING, QUALIFY and ORDER BY.
        self.aliases: dict[str, Fragment] = {}
        # What the rows are grouped by; None where they are not grouped.
        self.grouped: frozenset[str] | None = None
        # What WINDOW names, by the name in lower case.
        self.windows: dict[str, exp.Window] = {}

    def merge(self, columns: list[Column]) -> None:
        """Puts the columns that USING joined first. The bare names mean them from now on."""
        names = {column.name for column in columns}
        kept = []
        for source in self.sources:
            if source.is_merged:
                rest = tuple(column for column in source.columns if column.name not in names)
                source = msgspec.structs.replace(source, columns=rest)
            kept.append(source)
        self.sources = [*kept, Source(None, tuple(columns), is_merged=True)]

    def parent_only(self) -> "Scope":
        """Returns the scope of a query in FROM, which does not see the sources beside it."""
        return self.parent or Scope()


class Context:
    """The state of one translation: the text, the tables and parameters, and what was made so far."""

    def __init__(
        self,
        text: str,
        tables: dict[str, Relation],
        parameters: "Parameters",
        now: datetime.datetime,
        query_relation: "QueryTranslation",
    ) -> None:
        self.text = text
        self.tables = tables
        self.parameters = parameters
        self.now = now
        self._query_relation = query_relation
        self.named_queries: dict[str, Relation] = {}
        self.is_in_aggregate = False
        self._count = 0

    def query_relation(self, scope: Scope, node: exp.Expr) -> "Relation":
        """Returns a query that stands within an expression. It sees the names around it."""
        inner = node.this if isinstance(node, exp.Subquery) and set_parts(node) == {"this"} else node
        was_in_aggregate, self.is_in_aggregate = self.is_in_aggregate, False
        try:
            return self._query_relation(self, inner, scope)
        finally:
            self.is_in_aggregate = was_in_aggregate

    def new_name(self) -> str:
        """Returns a name that nothing else of the query has."""
        self._count += 1
        return f"r{self._count}"


QueryTranslation = Callable[[Context, exp.Expr, Scope | None], Relation]


def set_parts(node: exp.Expr) -> set[str]:
    """Returns the parts of a node that are filled."""
    return {part for part, value in node.args.items() if value}


class Parameters(msgspec.Struct, frozen=True):
    """The values of `@name` and `?`, as they came."""

    named: dict[str, object] = {}
    positional: list[object] = []


def quoted(text: str) -> str:
    """Returns a text as a literal of DuckDB."""
    escaped = text.replace("'", "''")
    if "\0" in text:
        return "concat(" + ", chr(0), ".join(f"'{part}'" for part in escaped.split("\0")) + ")"
    return f"'{escaped}'"


def joined(parts: Iterable[str], separator: str = ", ") -> str:
    """Returns parts of SQL joined into one text."""
    return separator.join(parts)


def cast_sql(sql: str, type_: SqlType) -> str:
    """Returns an expression cast to another of DuckDB's types."""
    return f"CAST({sql} AS {duckdb_type(type_)})"


def null_of(type_: SqlType) -> str:
    """Returns NULL of a type."""
    return f"CAST(NULL AS {duckdb_type(type_)})"


def filled(template: str, arguments: list[str]) -> str:
    """Returns a template of functions.txt with its arguments. A failure in it ends the query."""
    return _filled(template, arguments).replace("fail('", "error('")


def filled_safely(template: str, arguments: list[str]) -> str:
    """Returns a template with its arguments for SAFE: NULL where the function fails."""
    return f"TRY({_failures(_filled(template, arguments), lambda _: 'NULL')})"


def _filled(template: str, arguments: list[str]) -> str:
    sql = template
    start = sql.find("{*")
    if start >= 0:
        end = sql.index("}", start)
        separator = sql[start + 2 : end] or ", "
        return sql[:start] + separator.join(arguments) + sql[end + 1 :]
    pieces = sql.split("{")
    made = [pieces[0]]
    for piece in pieces[1:]:
        index, _, rest = piece.partition("}")
        made.append(arguments[int(index)] + rest)
    return "".join(made)


def _failures(sql: str, replace: Callable[[str], str]) -> str:
    pieces = sql.split("fail('")
    made = [pieces[0]]
    for piece in pieces[1:]:
        message, _, rest = piece.partition("')")
        made.append(replace(message) + rest)
    return "".join(made)


def integer(value: int) -> Fragment:
    """Returns a whole number as a literal."""
    sql = f"CAST({value} AS BIGINT)" if value >= 0 else f"CAST('{value}' AS BIGINT)"
    return Fragment(sql, INT64, is_literal=True, is_plain=True)


def is_scalar(type_: SqlType) -> bool:
    """Returns whether a type is neither an array nor a struct."""
    return type_.name in DUCKDB_TYPES
