"""The OpenAPI 3.1 document, made from the route table and the structs that requests are decoded into.

`OPERATIONS` says of each route what the handler's signature cannot: the shapes of what it takes and answers,
and every status that it may answer with. A route without an entry makes `document` fail. The document is held
by a golden file, and the server to the document by tests/api/test_schemathesis.py.
The YAML form is the JSON text: YAML 1.2 contains JSON. Source: contract 1.1, 7.30.
"""

import inspect
import re
from typing import Any

import msgspec

from rowkeep.api.http.insert_document import complete_insert_rows
from rowkeep.api.http.request import ApiRequest
from rowkeep.api.http.routes import API, RouteTable
from rowkeep.api.http.wire import STATUS_OF_CODE, Answer, json_answer
from rowkeep.api.resources.insert_rows import INSERT_ROWS_PATH
from rowkeep.api.resources.quarantine import FORMATS
from rowkeep.api.resources.reads import ReadSessionDraft
from rowkeep.api.resources.shapes import SHAPES, reference
from rowkeep.model.decoding.strict import OFFSET_TOKEN_CHARACTERS_MAX
from rowkeep.model.types import VariableType
from rowkeep.services.datasets import DatasetChanges, DatasetDraft
from rowkeep.services.grants import GrantDraft
from rowkeep.services.organizations import MemberDraft
from rowkeep.services.quarantine import ReplayDraft
from rowkeep.services.tables import TableChanges, TableDraft
from rowkeep.services.uploads import UploadDraft
from rowkeep.services.variables import VariableChanges, VariablesChanges
from rowkeep.services.versions import ReleaseDraft, VersionChanges

Json = dict[str, Any]


class Operation(msgspec.Struct, frozen=True):
    """What a route takes and answers, beyond its path.

    `answer` is the shape of a JSON answer; what is not JSON has its media types instead. `errors` are the
    statuses that are the route's own: those of its body and those of every route are added to them.
    """

    answer: str | None = None
    errors: tuple[int, ...] = ()
    query: tuple[str, ...] = ()
    body: str | None = None
    status: int = 200
    media_types: tuple[str, ...] = ("application/json",)


_BODIES = (
    DatasetDraft,
    DatasetChanges,
    GrantDraft,
    MemberDraft,
    TableDraft,
    TableChanges,
    UploadDraft,
    VariableChanges,
    VariablesChanges,
    VersionChanges,
    ReleaseDraft,
    ReadSessionDraft,
    ReplayDraft,
)
_PAGED = ("maxResults", "pageToken")
_ROWS = ("application/x-ndjson", "text/csv", "application/vnd.apache.arrow.stream")
_FOLLOWED = (*_ROWS, "text/event-stream")
_LISTED = ("format", "selectedVariables", "maxResults", "follow", "from", "tail")
_OK = ("text/plain",)

_CALLER = (401,)
_OWNER = (401, 404)
_SEEN = (401, 403, 404)
_ASKED = (400, *_SEEN)
_ERRORS_OF_BODIES = (400, 408, 413, 415)

_USER = f"{API}/users/{{owner}}"
_ORGANIZATION = f"{API}/organizations/{{owner}}"
_MEMBERS = f"{_ORGANIZATION}/members"
_MEMBER = f"{_MEMBERS}/{{user}}"
_DATASET = f"{API}/datasets/{{dataset}}"
_ACCESS = f"{_DATASET}/access"
_GRANTEE = f"{_ACCESS}/{{grantee}}"
_VERSIONS = f"{_DATASET}/versions"
_VERSION = f"{_VERSIONS}/{{version}}"
_TABLE = f"{API}/tables/{{table}}"
_VARIABLES = f"{_TABLE}/variables"
_UPLOADS = f"{_TABLE}/uploads"
_UPLOAD = f"{_UPLOADS}/{{upload}}"
_QUARANTINE = f"{_UPLOAD}/quarantine"

OPERATIONS: dict[tuple[str, str], Operation] = {
    ("GET", f"{API}/users/me"): Operation("Owner", _CALLER),
    ("GET", _USER): Operation("Owner", _OWNER),
    ("GET", _ORGANIZATION): Operation("Owner", _OWNER),
    ("GET", _MEMBERS): Operation("MemberList", _ASKED, _PAGED),
    ("GET", _MEMBER): Operation("Member", _SEEN),
    ("PUT", _MEMBER): Operation("Member", _ASKED, body="MemberDraft"),
    ("DELETE", _MEMBER): Operation(errors=_ASKED, media_types=_OK),
    ("GET", f"{_USER}/datasets"): Operation("DatasetList", (400, *_OWNER), _PAGED),
    ("POST", f"{_USER}/datasets"): Operation("Dataset", _ASKED, body="DatasetDraft", status=201),
    ("GET", f"{_ORGANIZATION}/datasets"): Operation("DatasetList", (400, *_OWNER), _PAGED),
    ("POST", f"{_ORGANIZATION}/datasets"): Operation("Dataset", _ASKED, body="DatasetDraft", status=201),
    ("GET", _DATASET): Operation("Dataset", _SEEN),
    ("PATCH", _DATASET): Operation("Dataset", _ASKED, body="DatasetChanges"),
    ("POST", _DATASET): Operation("Dataset", _ASKED, body="DatasetChanges"),
    ("DELETE", _DATASET): Operation(errors=_SEEN, media_types=_OK),
    ("GET", _ACCESS): Operation("AccessGrantList", _ASKED, _PAGED),
    ("GET", _GRANTEE): Operation("AccessGrant", _SEEN),
    ("PUT", _GRANTEE): Operation("AccessGrant", _ASKED, body="GrantDraft"),
    ("DELETE", _GRANTEE): Operation(errors=_SEEN, media_types=_OK),
    ("GET", _VERSIONS): Operation("VersionList", _ASKED, _PAGED),
    ("POST", _VERSIONS): Operation("Version", _ASKED, status=201),
    ("GET", _VERSION): Operation("Version", _SEEN),
    ("PATCH", _VERSION): Operation("Version", _ASKED, body="VersionChanges"),
    ("DELETE", _VERSION): Operation("Version", _ASKED),
    ("POST", f"{_VERSION}/undelete"): Operation("Version", _ASKED),
    ("POST", f"{_VERSION}/release"): Operation("Version", _ASKED, body="ReleaseDraft"),
    ("POST", f"{_VERSION}/unrelease"): Operation("Version", _ASKED),
    ("PATCH", f"{_DATASET}/variables"): Operation(errors=_ASKED, body="VariablesChanges", media_types=_OK),
    ("GET", f"{_DATASET}/tables"): Operation("TableList", _ASKED, _PAGED),
    ("POST", f"{_DATASET}/tables"): Operation("Table", _ASKED, body="TableDraft", status=201),
    ("GET", _TABLE): Operation("Table", _SEEN),
    ("PATCH", _TABLE): Operation("Table", _ASKED, body="TableChanges"),
    ("DELETE", _TABLE): Operation(errors=_ASKED, media_types=_OK),
    ("GET", _VARIABLES): Operation("VariableList", _ASKED, (*_PAGED, "type")),
    ("PATCH", _VARIABLES): Operation(errors=_ASKED, body="VariablesChanges", media_types=_OK),
    ("GET", f"{_VARIABLES}/{{variable}}"): Operation("Variable", _SEEN),
    ("PATCH", f"{_VARIABLES}/{{variable}}"): Operation("Variable", _ASKED, body="VariableChanges"),
    ("GET", f"{_VARIABLES}/{{variable}}/statistics"): Operation("VariableStatistics", _SEEN),
    ("GET", _UPLOADS): Operation("UploadList", _ASKED, _PAGED),
    ("POST", _UPLOADS): Operation("Upload", _ASKED, body="UploadDraft", status=201),
    ("GET", _UPLOAD): Operation("Upload", _SEEN),
    ("DELETE", _UPLOAD): Operation(errors=_ASKED, media_types=_OK),
    ("GET", f"{_UPLOAD}/requests/{{key}}"): Operation("InsertRequest", _SEEN),
    ("DELETE", f"{_UPLOAD}/requests/{{key}}"): Operation("InsertRequest", (*_ASKED, 409)),
    ("GET", f"{_UPLOAD}/verify"): Operation("UploadVerification", (*_SEEN, 503)),
    ("GET", f"{_UPLOAD}/variables"): Operation("VariableList", _ASKED, (*_PAGED, "type")),
    ("GET", f"{_UPLOAD}/variables/{{variable}}"): Operation("Variable", _SEEN),
    ("GET", f"{_UPLOAD}/variables/{{variable}}/statistics"): Operation("VariableStatistics", _SEEN),
    ("GET", _QUARANTINE): Operation(
        "QuarantineList", _ASKED, (*_PAGED, "format"), media_types=("application/json", _ROWS[0])
    ),
    ("DELETE", _QUARANTINE): Operation(errors=_SEEN, media_types=_OK),
    ("POST", f"{_QUARANTINE}/replay"): Operation("QuarantineReplay", _ASKED, body="ReplayDraft"),
    ("GET", f"{_TABLE}/rows"): Operation(errors=(*_ASKED, 409, 503), query=_LISTED, media_types=_FOLLOWED),
    ("GET", f"{_UPLOAD}/rows"): Operation(errors=(*_ASKED, 409, 503), query=_LISTED, media_types=_FOLLOWED),
    ("POST", f"{_TABLE}/readSessions"): Operation("ReadSession", _ASKED, body="ReadSessionDraft"),
    ("POST", f"{_UPLOAD}/readSessions"): Operation("ReadSession", _ASKED, body="ReadSessionDraft"),
    ("GET", f"{API}/readStreams/{{stream}}"): Operation(
        errors=_ASKED, query=("offset", "eosSentinel"), media_types=_ROWS
    ),
    ("GET", f"{API}/openAPI.json"): Operation("OpenApi"),
    ("GET", f"{API}/openAPI.yaml"): Operation(media_types=("application/yaml",)),
    ("GET", "/healthz"): Operation("Health"),
    ("GET", "/readyz"): Operation("Readiness", (503,)),
    ("GET", "/metrics"): Operation(media_types=("text/plain",)),
}
_INSERT_ROWS = Operation("InsertRowsResponse", (*_ASKED, 409, 422, 429), body="InsertRowsRequest", status=201)

_parameters_of = re.compile(r"\{(\w+)\}").findall
_COUNT: Json = {"type": "integer", "minimum": 0}
_OFFSET_TOKEN: Json = {
    "type": ["string", "null"],
    "minLength": 1,
    "maxLength": OFFSET_TOKEN_CHARACTERS_MAX,
}
_QUERY: dict[str, Json] = {
    "eosSentinel": {"type": "string", "enum": ["true", "false"]},
    "follow": {
        "type": "string",
        "enum": ["true", "false"],
        "description": "Stay, and get rows as they come.",
    },
    "format": {"type": "string", "enum": ["jsonl", "ndjson", "csv", "arrow", "sse"], "default": "jsonl"},
    "from": {"type": "string", "description": "With follow: the position to resume from."},
    "maxResults": _COUNT,
    "offset": _COUNT,
    "pageToken": {"type": "string", "description": "The nextPageToken of the page before."},
    "selectedVariables": {"type": "string", "description": "Names, separated by commas."},
    "tail": {"type": "string", "description": "With follow: how many of the last rows come first, or all."},
    "type": {"type": "string", "enum": list(VariableType)},
}
# Where a parameter is not what it is elsewhere.
_QUERY_OF: dict[tuple[str, str], Json] = {
    (_QUARANTINE, "format"): {"type": "string", "enum": list(FORMATS), "default": FORMATS[0]},
}


class DocumentHandlers:
    """Serves the document of a route table and of its own routes."""

    def __init__(self, table: RouteTable) -> None:
        self._document = document([*table, *self.table()])

    def table(self) -> RouteTable:
        """The routes."""
        return [
            ("GET", f"{API}/openAPI.json", self.get_json),
            ("GET", f"{API}/openAPI.yaml", self.get_yaml),
        ]

    async def get_json(self, request: ApiRequest) -> Answer:
        """This document as JSON."""
        del request
        return json_answer(self._document)

    async def get_yaml(self, request: ApiRequest) -> Answer:
        """This document as YAML."""
        del request
        return Answer(200, [(b"content-type", b"application/yaml")], msgspec.json.encode(self._document))


def document(table: RouteTable) -> Json:
    """The OpenAPI document of a route table and of insertRows. Raises KeyError for a route it lacks."""
    paths: dict[str, Json] = {}
    for method, path, handler in table:
        operation = _operation(
            method, path, OPERATIONS[method, path], handler.__qualname__, handler.__doc__ or ""
        )
        paths.setdefault(path, {})[method.lower()] = operation
    paths.setdefault(INSERT_ROWS_PATH, {})["post"] = _insert_rows()
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "rowkeep",
            "version": "1",
            "description": "Stream rows into typed tables. What answers GET answers HEAD too; its errors "
            "then stand percent-encoded in the header X-REDIVIS-ERROR-PAYLOAD.",
        },
        "paths": dict(sorted(paths.items())),
        "components": {
            "schemas": _schemas(),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{"token": []}, {}],
    }


def _operation(method: str, path: str, operation: Operation, qualified_name: str, docstring: str) -> Json:
    described: Json = {
        "operationId": qualified_name.replace("Handlers.", "."),
        "summary": inspect.cleandoc(docstring).partition("\n")[0],
        "parameters": [
            *(
                {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
                for name in _parameters_of(path)
            ),
            *(
                {"name": name, "in": "query", "schema": _QUERY_OF.get((path, name)) or _QUERY[name]}
                for name in operation.query
            ),
        ],
        "responses": {
            str(operation.status): _response(operation),
            **{str(status): _error_response(status, operation) for status in _errors(method, operation)},
        },
    }
    if operation.body is not None:
        described["requestBody"] = {
            "required": operation.body == "InsertRowsRequest",
            "content": {"application/json": {"schema": reference(operation.body)}},
        }
    return described


def _response(operation: Operation) -> Json:
    content = {} if operation.answer is None else {"schema": reference(operation.answer)}
    return {
        "description": "Done.",
        "content": {
            # What stands beside JSON holds the same in another form.
            media_type: {} if media_type in _ROWS else content
            for media_type in operation.media_types
        },
    }


def _errors(method: str, operation: Operation) -> list[int]:
    """What a route may answer instead: a route without errors of its own has none."""
    if not operation.errors:
        return []
    of_body = () if operation.body is None else _ERRORS_OF_BODIES
    of_write = () if method == "GET" else (503,)
    return sorted({*operation.errors, *of_body, *of_write, 500})


def _error_response(status: int, operation: Operation) -> Json:
    codes = sorted(code.value for code, mapped in STATUS_OF_CODE.items() if mapped == status)
    shape = "Readiness" if operation.answer == "Readiness" else "Error"
    return {
        "description": f"{' or '.join(codes)}: `error_description` says why and what to do.",
        "content": {"application/json": {"schema": reference(shape)}},
    }


def _insert_rows() -> Json:
    described = _operation("POST", INSERT_ROWS_PATH, _INSERT_ROWS, "insertRows", "Inserts rows.")
    complete_insert_rows(described)
    return described


def _schemas() -> Json:
    _, components = msgspec.json.schema_components(_BODIES, ref_template="#/components/schemas/{name}")
    return {
        **components,
        **SHAPES,
        "InsertRowsRequest": {
            "type": "object",
            "required": ["rows"],
            "properties": {
                "rows": {"type": "array", "items": {"type": "object"}},
                "updateSchema": {"type": ["boolean", "null"]},
                "updateVariables": {"type": ["boolean", "null"]},
                "validateOnly": {"type": ["boolean", "null"]},
                "offsetToken": _OFFSET_TOKEN,
                "expectedOffsetToken": _OFFSET_TOKEN,
                "skipInvalidRows": {"type": ["boolean", "null"]},
            },
        },
    }
