"""The API's document as a page: every operation and every shape, offline, for whoever opens it.

It is made of the same OpenAPI document that programs fetch, the first time that somebody asks.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

from rowkeep.web.answers import PageAnswer, html_answer
from rowkeep.web.rendering import render
from rowkeep.web.requests import PageRequest
from rowkeep.web.routes import OpenRoute, PageTable

ApiDocument = Callable[[], dict[str, Any]]
# An operation answers these like all others: they are said once.
_COMMON_ERRORS = ("400", "401", "403", "404", "408", "413", "414", "415", "431", "500")


class ApiDocumentPages:
    """The page of the API."""

    def __init__(self, document: ApiDocument) -> None:
        self._html = cache(lambda: _page(document()))

    def table(self) -> PageTable:
        """Returns the routes."""
        return [OpenRoute("GET", ("docs", "api"), self.show)]

    async def show(self, request: PageRequest) -> PageAnswer:
        """All of it."""
        del request
        return html_answer(self._html())


def _page(document: dict[str, Any]) -> str:
    groups: dict[str, list[dict[str, Any]]] = {}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            noun = operation.get("operationId", path).partition(".")[0]
            groups.setdefault(noun, []).append(_operation(path, method, operation))
    shapes = document["components"]["schemas"]
    return render("api_document.html", session=None, info=document["info"], groups=groups, shapes=shapes)


def _operation(path: str, method: str, operation: dict[str, Any]) -> dict[str, Any]:
    answers = operation.get("responses", {})
    return {
        "path": path,
        "method": method.upper(),
        "anchor": f"{method}-{path.strip('/').replace('/', '-')}".replace("{", "").replace("}", ""),
        "summary": operation.get("summary") or operation.get("description", ""),
        "parameters": operation.get("parameters", []),
        "bodies": _contents(operation.get("requestBody", {})),
        "answers": {status: _contents(answer) for status, answer in answers.items() if status < "400"},
        "errors": {
            status: answer.get("description", "")
            for status, answer in answers.items()
            if status >= "400" and status not in _COMMON_ERRORS
        },
    }


def _contents(message: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {kind: content.get("schema", {}) for kind, content in message.get("content", {}).items()}
