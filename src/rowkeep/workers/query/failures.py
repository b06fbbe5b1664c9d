"""Rewords DuckDB's errors for the caller, without names and paths of the server."""

import re

MEMORY = (
    "The query needs more memory than a query may have. Read fewer columns or rows, or group before joining."
)
# What a query failed of, in the words of the log.
NOT_SERVED = "it is not valid, or asks for what is not served"
OTHER = "another error of DuckDB"
_kind = re.compile(r"((?:[A-Z][A-Za-z]*)(?: [A-Za-z]+){0,2} Error):").match
_prefix = re.compile(r"^(?:[A-Z][A-Za-z]* )(?:[a-zA-Z]+ ){0,2}Error: ")
_python = re.compile(r"Python exception occurred while executing the UDF: \w+: (.*?)(?:\n\nAt:|$)", re.DOTALL)
_python_kind = re.compile(r".*Python exception occurred while executing the UDF: (\w+):", re.DOTALL).match
_internal = re.compile(r"\b[rtv]\d+\.c\d+\b|\bbq_\w+|/proc/\S+")


def failure_kind(message: str) -> str:
    """Returns DuckDB's name for the kind of an error. It holds nothing of the query and no value."""
    python = _python_kind(message)
    if python is not None:
        return f"{python[1]} in a function"
    found = _kind(message)
    return OTHER if found is None else found[1]


def failure_message(message: str) -> str:
    """Returns the message for the caller about an error of DuckDB."""
    python = _python.search(message)
    if python is not None:
        return python[1].strip()
    first = message.split("\nLINE ", 1)[0].split("\n\n", 1)[0]
    text = _prefix.sub("", first).strip()
    if "Out of Memory" in message:
        return MEMORY
    if "More than one row returned by a subquery" in message:
        return "A query that stands for a value returned more than one row."
    return _internal.sub("a column", text) or "The query failed."
