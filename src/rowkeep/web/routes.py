"""Routes of the console: each is a method, the segments of a path, and a handler."""

from collections.abc import Awaitable, Callable

import msgspec

from rowkeep.web.answers import PageAnswer
from rowkeep.web.requests import PageRequest
from rowkeep.web.sessions import Session

CONSOLE = "/console"
API_DOCUMENT = "/docs/api"
SIGN_IN = f"{CONSOLE}/sign-in"

OpenHandler = Callable[[PageRequest], Awaitable[PageAnswer]]
Handler = Callable[[PageRequest, Session], Awaitable[PageAnswer]]


class PageRoute(msgspec.Struct, frozen=True):
    """A page for people who are signed in. `*` in the pattern stands for any one segment."""

    method: str
    pattern: tuple[str, ...]
    handler: Handler


class OpenRoute(msgspec.Struct, frozen=True):
    """A page for everybody."""

    method: str
    pattern: tuple[str, ...]
    handler: OpenHandler


PageTable = list[PageRoute | OpenRoute]


def matched(pattern: tuple[str, ...], segments: tuple[str, ...]) -> tuple[str, ...] | None:
    """Returns the segments that stand for a `*`, or None for a path that does not match."""
    if len(pattern) != len(segments):
        return None
    pairs = list(zip(pattern, segments, strict=True))
    if any(expected not in ("*", segment) for expected, segment in pairs):
        return None
    return tuple(segment for expected, segment in pairs if expected == "*")
