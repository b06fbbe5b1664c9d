"""What to do instead, for requests that reach no route: what people and clients ask for by mistake."""

import re

_UPLOAD_ROWS = "/api/v1/tables/TABLE/uploads/UPLOAD/rows"
_NOT_SERVED = (
    "rowkeep does not serve {0}; it keeps datasets, versions, tables, uploads and variables. "
    "docs/clients.md lists what the official clients can call."
)
_nouns = {
    "workflows": "workflows",
    "projects": "projects (now called workflows)",
    "notebooks": "notebooks",
    "transforms": "transforms",
    "parameters": "parameters of workflows",
    "dataSources": "data sources of workflows",
    "models": "models",
    "secrets": "secrets",
}
_PLACE = "(?:users|organizations|datasets|workflows|projects)/[^/]+/"
_unserved = re.compile(f"/api/v1/(?:{_PLACE})*({'|'.join(_nouns)})(?:/|$)").match
_rows_of_table = re.compile(r"/api/v1/tables/[^/]+/rows/?$").match
_without_prefix = re.compile(r"/(?:users|organizations|datasets|tables|readStreams|queries)(?:/|$)").match


def hint_of(method: str, path: str) -> str | None:
    """Returns what to do instead of a request that no route answers, or None when nothing is known."""
    if method == "POST" and _rows_of_table(path):
        return (
            f"Rows go into an upload of the table: POST {_UPLOAD_ROWS}. Create the upload first, with "
            'POST /api/v1/tables/TABLE/uploads {"name": "UPLOAD", "type": "stream"}.'
        )
    if _without_prefix(path):
        return f"There is nothing at this path; every path of the API begins with /api/v1: /api/v1{path}."
    unserved = _unserved(path)
    return None if unserved is None else _NOT_SERVED.format(_nouns[unserved[1]])
