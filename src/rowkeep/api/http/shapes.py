"""How answers are declared: structs whose fields are the keys of the JSON, and what many of them share.

Theory
------
What a route answers is one msgspec struct. The handler fills it, the encoder writes it, and the OpenAPI
document is derived from it (`openapi.py`), so the three cannot differ. A key is always there, unless its
field may be UNSET.
A resource has a tag, which is its `kind`.
"""

from typing import Annotated, Any

import msgspec

from rowkeep.model.access import LEVEL_OF_NAME, PUBLIC_ACCESS_LEVELS
from rowkeep.model.errors import RowError

API_PREFIX = "/api/v1"

Count = Annotated[int, msgspec.Meta(ge=0)]
Time = Annotated[int, msgspec.Meta(description="Milliseconds since 1970-01-01 UTC.")]
LevelName = Annotated[str, msgspec.Meta(extra_json_schema={"enum": list(LEVEL_OF_NAME)})]
PublicLevelName = Annotated[str, msgspec.Meta(extra_json_schema={"enum": list(PUBLIC_ACCESS_LEVELS)})]
RowErrors = Annotated[tuple[RowError, ...], msgspec.Meta(max_length=100)]


class Shape(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The content of an answer."""


class LocatedShape(Shape, frozen=True, kw_only=True):
    """The content of an answer about something that has a path of its own."""

    uri: Annotated[str, msgspec.Meta(description="The path of the resource, relative to the API.")]
    url: str


class ListShape(Shape, frozen=True, kw_only=True):
    """A page of a list. Each list declares its own `results`."""

    next_page_token: str | None


class ReferencedShape(LocatedShape, frozen=True, kw_only=True):
    """The content of an answer about something that has references beside its path."""

    id: str
    qualified_reference: str
    scoped_reference: str
    reference_id: str


def located(uri: str) -> dict[str, Any]:
    """Returns the fields of a LocatedShape."""
    return {"uri": uri, "url": f"{API_PREFIX}{uri}"}
