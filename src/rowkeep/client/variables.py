"""The types of variables, for a client that has only text."""

from urllib.parse import quote

import msgspec

from rowkeep.client.asking import Asker

PAGE_SIZE = 10_000


class _Variable(msgspec.Struct):
    name: str
    type: str


class _Page(msgspec.Struct):
    results: list[_Variable]
    nextPageToken: str | None = None  # noqa: N815  # as on the wire


def variable_types(asker: Asker, path: str) -> dict[str, str]:
    """Returns the type of each variable of the upload or table at a path. Raises an InsertError."""
    types: dict[str, str] = {}
    token: str | None = ""
    while token is not None:
        query = f"?maxResults={PAGE_SIZE}" + (f"&pageToken={quote(token)}" if token else "")
        page = msgspec.json.decode(asker.read(f"{path}/variables{query}"), type=_Page)
        types.update({variable.name: variable.type for variable in page.results})
        token = page.nextPageToken
    return types
