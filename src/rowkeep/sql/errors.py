"""The refusal of a query: a sentence, and a place in its text."""

from typing import Any


class QueryRefused(Exception):
    """The error for a query that is not run. It says what to change, with line and column from 1 if known."""

    def __init__(self, message: str, *, line: int | None = None, column: int | None = None) -> None:
        place = "" if line is None or column is None else f"Line {line}, column {column}: "
        super().__init__(place + message)
        self.message = place + message
        self.line = line
        self.column = column


def at(text: str, offset: int) -> tuple[int, int]:
    """Returns line and column, from 1, of a place in a text."""
    before = text[:offset]
    return before.count("\n") + 1, offset - before.rfind("\n")


def refused(text: str, node: Any, message: str) -> QueryRefused:
    """Returns a refusal that points at a node of the parsed query."""
    starts = [found.meta["start"] for found in node.walk() if "start" in found.meta]
    line, column = at(text, min(starts)) if starts else (None, None)
    return QueryRefused(message, line=line, column=column)
