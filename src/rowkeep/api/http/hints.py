"""Hints for requests that reach no route: the right path or method for common mistakes."""

import difflib
import re
from collections.abc import Sequence

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
_rows_of_dataset = re.compile(r"/api/v1/datasets/[^/]+/(?:rows|uploads(?:/.*)?)/?$").match
_BEGINNINGS = frozenset({"/", "/api", "/api/", "/api/v1", "/api/v1/"})
_WHERE_THINGS_ARE = (
    "This is a rowkeep server. Programs use its API, which begins at /api/v1, such as GET /api/v1/users/me; "
    "people open /console in a browser. docs/start.md of the project is where the guides begin, and "
    "docs/api.md describes the API."
)
_PREFIX = "/api/v1/"
_any_prefix = re.compile(r"/?(?:api/)?(?:v\d+(?:\.\d+)?/)?", re.IGNORECASE).match
_LIKENESS_MIN = 0.6
_PATH_CHARACTERS_MAX = 300
_without_prefix = re.compile(r"/(?:users|organizations|datasets|tables|readStreams|queries)(?:/|$)").match


def hint_of(method: str, path: str) -> str | None:
    """Returns what to do instead of a request that no route answers, or None when no hint is known."""
    if method == "POST" and _rows_of_table(path):
        return (
            f"Rows go into an upload of the table: POST {_UPLOAD_ROWS}. Create the upload first, with "
            'POST /api/v1/tables/TABLE/uploads {"name": "UPLOAD", "type": "stream"}.'
        )
    if method == "POST" and _rows_of_dataset(path):
        return (
            f"Rows go into an upload of a table of the dataset: POST {_UPLOAD_ROWS}, where TABLE is "
            "OWNER.DATASET.TABLE. Create the upload first, with POST /api/v1/tables/TABLE/uploads "
            '{"name": "UPLOAD", "type": "stream"}.'
        )
    if path in _BEGINNINGS:
        return _WHERE_THINGS_ARE
    if _without_prefix(path):
        return f"There is nothing at this path; every path of the API begins with /api/v1: /api/v1{path}."
    unserved = _unserved(path)
    return None if unserved is None else _NOT_SERVED.format(_nouns[unserved[1]])


def near_path(path: str, templates: Sequence[str]) -> str:
    """Returns a sentence, with a space before it, that names the nearest path. Empty when none is near.

    `templates` are the paths of the routes, such as /api/v1/tables/{table}.
    """
    prefix = _any_prefix(path)
    if len(path) > _PATH_CHARACTERS_MAX or prefix is None:
        return ""
    given = path[prefix.end() :].strip("/").split("/")
    likenesses = [(_likeness(given, template), template) for template in templates]
    likeness, template = max(likenesses, default=(0.0, ""))
    if likeness < _LIKENESS_MIN:
        return ""
    filled = [
        said if part.startswith("{") else part for part, said in zip(_segments(template), given, strict=True)
    ]
    return f" Did you mean {_PREFIX}{'/'.join(filled)}?"


def _likeness(given: Sequence[str], template: str) -> float:
    """Returns how similar the least similar segments of a path and a template are, from 0 to 1."""
    expected = _segments(template)
    if not template.startswith(_PREFIX) or len(expected) != len(given):
        return 0.0
    return min(
        difflib.SequenceMatcher(None, said.lower(), part.lower()).ratio()
        for said, part in zip(given, expected, strict=True)
        if not part.startswith("{")
    )


def _segments(template: str) -> list[str]:
    return template.removeprefix(_PREFIX).split("/")
