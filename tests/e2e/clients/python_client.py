"""One version of the Python client as the scripts beside see it.

The versions differ in what they offer: `has` and `takes` ask the client itself.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import redivis

Facts = dict[str, Any]
# 0.15 and 0.18 raise bare Exceptions.
REFUSALS = redivis.exceptions.RedivisError if hasattr(redivis, "exceptions") else Exception


@dataclass(frozen=True)
class Cycle:
    """What the test gives."""

    owner: str
    organization: str
    schema: list[dict[str, str]]
    rows: list[dict[str, Any]]
    readerToken: str  # noqa: N815 - as it comes

    def dataset(self, name: str) -> Any:
        """A dataset of this version's own, which need not exist."""
        return redivis.user(self.owner).dataset(f"{name} of {redivis.__version__.replace('.', '-')}")


def has(thing: Any, name: str) -> bool:
    """Whether this version of the client can do that."""
    return hasattr(thing, name)


def takes(function: Any, argument: str) -> bool:
    """Whether this version's function has that argument."""
    return argument in inspect.signature(function).parameters


def refusal(call: Callable[[], Any]) -> Facts | None:
    """How the client reports that the call was refused; None when it was not."""
    try:
        call()
    except REFUSALS as error:
        if error.args and isinstance(error.args[0], dict):
            told = error.args[0]
            return {"kind": "dict", "status": told["status"], "text": told["error_description"]}
        status = getattr(error, "status_code", None)
        return {"kind": type(error).__name__, "status": status, "text": str(error)}
    return None


def names(things: list[Any]) -> list[str]:
    """The names of what was listed."""
    return [thing.name for thing in things]


def types(parent: Any) -> list[list[str]]:
    """Name and type of each variable."""
    return [[variable.name, variable.properties["type"]] for variable in parent.list_variables()]


def widen(upload: Any) -> Facts:
    """The argument `update_schema`, in the versions that have it."""
    return {"update_schema": True} if takes(upload.insert_rows, "update_schema") else {}
