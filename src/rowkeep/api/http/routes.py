"""The route table: every path the server answers, but for insertRows (api/resources/insert_rows.py)."""

from starlette.routing import Route

from rowkeep.api.http.body import BodyReader
from rowkeep.api.http.endpoint import Endpoint, Handler

API = "/api/v1"
RouteTable = list[tuple[str, str, Handler]]


def routes_of(table: RouteTable, bodies: BodyReader) -> list[Route]:
    """Routes from (method, path, handler); a GET route answers HEAD too."""
    return [Route(path, Endpoint(handler, bodies), methods=[method]) for method, path, handler in table]
