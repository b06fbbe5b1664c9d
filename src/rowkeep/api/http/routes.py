"""Routes: each is a path and a handler, with its body and its answer. Only insertRows has none here."""

from typing import Any

import msgspec
from starlette.routing import Route as StarletteRoute

from rowkeep.api.http.body import BodyReader
from rowkeep.api.http.endpoint import Bounds, Endpoint, Handler
from rowkeep.api.http.parameters import QueryParameter
from rowkeep.api.http.request import CheckToken

API = "/api/v1"

JSON_TYPES = ("application/json",)
TEXT_TYPES = ("text/plain",)
LINES_TYPE = "application/x-ndjson"
# Files, in whatever format.
FILE_TYPE = "*/*"
ROW_TYPES = (LINES_TYPE, "text/csv", "application/vnd.apache.arrow.stream")

# The statuses of errors that are a route's own, by what its handler looks up first.
CALLER_ERRORS = (401,)
OWNER_ERRORS = (401, 404)
SEEN_ERRORS = (401, 403, 404)
ASKED_ERRORS = (400, *SEEN_ERRORS)


class Route(msgspec.Struct, frozen=True):
    """A method and a path with the handler that answers. A GET route answers HEAD too.

    `answer` is the shape of a JSON answer, `body` that of a JSON body. What is not JSON has its media types
    instead. `errors` are the statuses that only this route has; those of its body and those of every route
    are added to them.
    """

    method: str
    path: str
    handler: Handler
    answer: Any = None
    errors: tuple[int, ...] = ()
    query: tuple[QueryParameter, ...] = ()
    body: type | None = None
    status: int = 200
    media_types: tuple[str, ...] = JSON_TYPES


RouteTable = list[Route]
# Fields of a route that several share, to be passed by name.
Facts = dict[str, Any]


def routes_of(
    table: RouteTable, bodies: BodyReader, check_token: CheckToken, bounds: Bounds
) -> list[StarletteRoute]:
    """Returns the routes as the router takes them."""
    return [
        StarletteRoute(
            route.path,
            Endpoint(route.path, route.handler, bodies, check_token, bounds),
            methods=[route.method],
        )
        for route in table
    ]
