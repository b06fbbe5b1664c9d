"""The query parameters that routes take, each described once for the OpenAPI document."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from rowkeep.model.errors import invalid_request

Json = dict[str, Any]

_TRUTH: Json = {"type": "string", "enum": ["true", "false"]}
_COUNT: Json = {"type": "integer", "minimum": 0}


class QueryParameter(msgspec.Struct, frozen=True):
    """The name of a query parameter and the JSON Schema of its value."""

    name: str
    schema: Json


MAX_RESULTS = QueryParameter("maxResults", _COUNT)
PAGE_TOKEN = QueryParameter(
    "pageToken", {"type": "string", "description": "The nextPageToken of the page before."}
)
PAGED = (MAX_RESULTS, PAGE_TOKEN)
OFFSET = QueryParameter("offset", _COUNT)
EOS_SENTINEL = QueryParameter("eosSentinel", _TRUTH)
LABELS = QueryParameter(
    "labels", {"type": "string", "description": "Only those with one of these labels, separated by commas."}
)
STATUSES = QueryParameter(
    "statuses", {"type": "string", "description": "Only those of one of these statuses, separated by commas."}
)
FOLLOW = QueryParameter("follow", {**_TRUTH, "description": "Stay, and get rows as they come."})
FROM = QueryParameter("from", {"type": "string", "description": "With follow: the position to resume from."})
TAIL = QueryParameter(
    "tail", {"type": "string", "description": "With follow: how many of the last rows come first, or all."}
)
WHERE = QueryParameter(
    "where", {"type": "string", "description": "A condition on variables: count > 5 AND site IN ('a', 'b')."}
)
ORDER_BY = QueryParameter(
    "orderBy", {"type": "string", "description": "Variables, each with asc or desc, separated by commas."}
)
SELECTED_VARIABLES = QueryParameter(
    "selectedVariables", {"type": "string", "description": "Names, separated by commas."}
)


OWNER = QueryParameter(
    "owner", {"type": "string", "description": "A user or an organization; the caller when it is absent."}
)


def one_of(name: str, values: list[str], default: str | None = None) -> QueryParameter:
    """Returns a query parameter that takes one of several words."""
    schema: Json = {"type": "string", "enum": values}
    return QueryParameter(name, schema if default is None else {**schema, "default": default})


def single_value(query: Mapping[str, Sequence[str]], name: str) -> str | None:
    """The value of a parameter; None without it. Raises invalid_request_error for two that differ."""
    values = query.get(name)
    if values is None:
        return None
    if len(set(values)) > 1:
        raise invalid_request(
            f"The query has the parameter {name} twice, and only one of them could count. Nothing was done; "
            "send it once."
        )
    return values[-1]
