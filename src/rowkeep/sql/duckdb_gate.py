"""The gate for queries in DuckDB's own dialect.

DuckDB parses the text itself, so there is no second parser that could read it in another way, and gives the
tree as JSON. What is in the tree is checked here against lists: kinds of expressions and of sources, and
functions by name. The tables that are named become views of ours, and DuckDB makes a text of the tree again.
"""

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from importlib.resources import files
from typing import Any

from rowkeep.sql.errors import QueryRefused, at

Tree = dict[str, Any]

_EXPRESSIONS = frozenset(
    [
        "CONSTANT",
        "COLUMN_REF",
        "FUNCTION",
        "OPERATOR",
        "COMPARISON",
        "CONJUNCTION",
        "CASE",
        "CAST",
        "WINDOW",
        "SUBQUERY",
        "STAR",
        "LAMBDA",
        "BETWEEN",
        "POSITIONAL_REFERENCE",
        "COLLATE",
    ]
)
_SOURCES = frozenset(
    ["BASE_TABLE", "SUBQUERY", "JOIN", "EMPTY", "EXPRESSION_LIST", "TABLE_FUNCTION", "PIVOT"]
)
_NODES = frozenset(["SELECT_NODE", "SET_OPERATION_NODE", "CTE_NODE"])
_TABLE_FUNCTIONS = frozenset(["unnest", "range", "generate_series"])
_geography_match = re.compile(r"st_(?!read|drivers|list)[a-z0-9_]+").fullmatch
# What DuckDB says where it knows no place in the text.
_NOWHERE = 2**63
NODES_MAX = 100_000


@lru_cache(maxsize=1)
def duckdb_functions() -> frozenset[str]:
    """Returns the functions that may be called, in lower case, without those of geography."""
    text = (files("rowkeep.sql") / "duckdb_functions.txt").read_text(encoding="utf-8")
    lines = (line for line in text.splitlines() if not line.startswith("#"))
    return frozenset(word for line in lines for word in line.split())


def checked_tree(text: str, tree: Tree) -> list[tuple[str, int | None]]:
    """Returns the tables that a tree names, with their places.

    Raises QueryRefused for anything that is not on the lists.
    """
    if tree.get("error"):
        raise _syntax_error(text, tree)
    statements = tree["statements"]
    if len(statements) != 1:
        raise QueryRefused("Send one statement at a time.")
    tables = []
    for node in _nodes(tree):
        _check(text, node)
        if _is_own_table(tree, node):
            tables.append((reference_of_source(node), _place(node)))
    return tables


def with_views(tree: Tree, views: Mapping[str, str]) -> Tree:
    """Returns the tree with each named table replaced by a view.

    The table's name becomes the view's alias.
    """
    own = list(_nodes(tree))
    for node in own:
        if _is_own_table(tree, node):
            reference = reference_of_source(node)
            node["alias"] = node["alias"] or reference.rpartition(".")[2].partition(":")[0]
            node["catalog_name"], node["schema_name"] = "", "main"
            node["table_name"] = views[reference]
    return tree


def reference_of_source(node: Tree) -> str:
    """Returns the name of a table as it was written, its parts joined by dots."""
    return ".".join(node[part] for part in ("catalog_name", "schema_name", "table_name") if node[part])


def uses_geography(tree: Tree) -> bool:
    """Returns whether a function of geography is called."""
    return any(str(node.get("function_name", "")).lower().startswith("st_") for node in _nodes(tree))


def _nodes(tree: Tree) -> Iterator[Tree]:
    waiting: list[Any] = [tree]
    for _ in range(NODES_MAX):
        if not waiting:
            return
        found = waiting.pop()
        if isinstance(found, dict):
            yield found
            waiting.extend(value for value in found.values() if isinstance(value, dict | list))
        else:
            waiting.extend(item for item in found if isinstance(item, dict | list))
    raise QueryRefused("The query is too large; split it.")


def _check(text: str, node: Tree) -> None:
    kind = node.get("type")
    if "class" in node:
        if node["class"] not in _EXPRESSIONS:
            raise _refused(text, node, f"{node['class']} is not supported in a query.")
        if "function_name" in node:
            _check_function(text, node, duckdb_functions())
    elif isinstance(kind, str) and kind.endswith("_NODE") and kind not in _NODES:
        raise _refused(text, node, f"{_words(kind)} is not supported.")
    elif "sample" in node and "query_location" in node:
        _check_source(text, node)


def _check_source(text: str, node: Tree) -> None:
    if node["type"] not in _SOURCES or node.get("at_clause") is not None:
        raise _refused(text, node, f"{_words(node['type'])} is not supported in FROM.")
    if node["type"] == "TABLE_FUNCTION":
        _check_function(text, node["function"], _TABLE_FUNCTIONS)


def _check_function(text: str, node: Tree, allowed: frozenset[str]) -> None:
    name = str(node["function_name"]).lower()
    is_ours = node.get("catalog", "") == "" and node.get("schema", "") in ("", "main")
    if not is_ours or (name not in allowed and _geography_match(name) is None):
        raise _refused(text, node, f"The function {node['function_name']} is not supported here.")


def _is_own_table(tree: Tree, node: Tree) -> bool:
    if node.get("type") != "BASE_TABLE" or "table_name" not in node:
        return False
    return bool(node["schema_name"]) or str(node["table_name"]).lower() not in _with_names(tree)


def _with_names(tree: Tree) -> frozenset[str]:
    """Returns the names that WITH gives anywhere."""
    return frozenset(
        str(named["key"]).lower()
        for node in _nodes(tree)
        if isinstance(node.get("cte_map"), dict)
        for named in node["cte_map"]["map"]
    )


def _words(kind: str) -> str:
    return kind.removesuffix("_NODE").replace("_", " ")


def _place(node: Tree) -> int | None:
    found = node.get("query_location")
    return found if isinstance(found, int) and found < _NOWHERE else None


def _refused(text: str, node: Tree, message: str) -> QueryRefused:
    place = _place(node)
    line, column = (None, None) if place is None else at(text, place)
    return QueryRefused(message, line=line, column=column)


def _syntax_error(text: str, tree: Tree) -> QueryRefused:
    if tree.get("error_type") != "parser":
        return QueryRefused("A query reads: it begins with SELECT, FROM, WITH or VALUES.")
    place = str(tree.get("position", ""))
    line, column = at(text, int(place)) if place.isdigit() else (None, None)
    return QueryRefused(f"The query cannot be parsed: {tree.get('error_message')}.", line=line, column=column)
