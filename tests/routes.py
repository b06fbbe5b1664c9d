"""The routes that the server has, as the reviewed OpenAPI document (tests/house) lists them."""

import json
from typing import Any

from tests.house.sources import ROOT

GOLDEN = ROOT / "tests" / "house" / "golden" / "openapi.json"

# The operation of each method and path, insertRows included.
OPERATIONS: dict[tuple[str, str], dict[str, Any]] = {
    (method.upper(), path): operation
    for path, operations in json.loads(GOLDEN.read_text(encoding="utf-8"))["paths"].items()
    for method, operation in operations.items()
}


def query_names(operation: dict[str, Any]) -> list[str]:
    """Returns the query parameters that an operation takes."""
    return [asked["name"] for asked in operation["parameters"] if asked["in"] == "query"]


def has_errors(operation: dict[str, Any]) -> bool:
    """Returns whether an operation may answer with an error of its own."""
    return any(int(status) >= 400 for status in operation["responses"])
