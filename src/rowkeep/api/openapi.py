"""The OpenAPI 3.1 document, made from the route table and the structs that requests are decoded into.

`OPERATIONS` says of each route what the handler's signature cannot: query parameters, body, statuses.
A route without an entry makes `document` fail, and the document is held by a golden file.
The YAML form is the JSON text: YAML 1.2 contains JSON. Source: contract 1.1, 7.30.
"""

import inspect
import re
from typing import Any

import msgspec

from rowkeep.api.reads import ReadSessionDraft
from rowkeep.api.request import ApiRequest
from rowkeep.api.routes import API, RouteTable
from rowkeep.api.rows import INSERT_ROWS_PATH
from rowkeep.api.wire import STATUS_OF_CODE, Answer, json_answer
from rowkeep.model.errors import ErrorCode, RowError
from rowkeep.services.datasets import DatasetChanges, DatasetDraft
from rowkeep.services.grants import GrantDraft
from rowkeep.services.organizations import MemberDraft
from rowkeep.services.tables import TableChanges, TableDraft
from rowkeep.services.uploads import UploadDraft
from rowkeep.services.variables import VariableChanges, VariablesChanges
from rowkeep.services.versions import ReleaseDraft, VersionChanges

Json = dict[str, Any]


class Operation(msgspec.Struct, frozen=True):
    """What a route takes and answers, beyond its path."""

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
)
_PAGED = ("maxResults", "pageToken")
_ROWS_MEDIA_TYPES = ("application/x-ndjson", "text/csv", "application/vnd.apache.arrow.stream")
_DELETED = ("text/plain",)

_DATASET = f"{API}/datasets/{{dataset}}"
_VERSION = f"{_DATASET}/versions/{{version}}"
_TABLE = f"{API}/tables/{{table}}"
_UPLOAD = f"{_TABLE}/uploads/{{upload}}"
_MEMBER = f"{API}/organizations/{{owner}}/members/{{user}}"

OPERATIONS: dict[tuple[str, str], Operation] = {
    ("GET", f"{API}/users/me"): Operation(),
    ("GET", f"{API}/users/{{owner}}"): Operation(),
    ("GET", f"{API}/organizations/{{owner}}"): Operation(),
    ("GET", f"{API}/organizations/{{owner}}/members"): Operation(query=_PAGED),
    ("GET", _MEMBER): Operation(),
    ("PUT", _MEMBER): Operation(body="MemberDraft"),
    ("DELETE", _MEMBER): Operation(media_types=_DELETED),
    ("GET", f"{API}/users/{{owner}}/datasets"): Operation(query=_PAGED),
    ("POST", f"{API}/users/{{owner}}/datasets"): Operation(body="DatasetDraft", status=201),
    ("GET", f"{API}/organizations/{{owner}}/datasets"): Operation(query=_PAGED),
    ("POST", f"{API}/organizations/{{owner}}/datasets"): Operation(body="DatasetDraft", status=201),
    ("GET", _DATASET): Operation(),
    ("PATCH", _DATASET): Operation(body="DatasetChanges"),
    ("POST", _DATASET): Operation(body="DatasetChanges"),
    ("DELETE", _DATASET): Operation(media_types=_DELETED),
    ("GET", f"{_DATASET}/access"): Operation(query=_PAGED),
    ("GET", f"{_DATASET}/access/{{grantee}}"): Operation(),
    ("PUT", f"{_DATASET}/access/{{grantee}}"): Operation(body="GrantDraft"),
    ("DELETE", f"{_DATASET}/access/{{grantee}}"): Operation(media_types=_DELETED),
    ("GET", f"{_DATASET}/versions"): Operation(query=_PAGED),
    ("POST", f"{_DATASET}/versions"): Operation(status=201),
    ("GET", _VERSION): Operation(),
    ("PATCH", _VERSION): Operation(body="VersionChanges"),
    ("DELETE", _VERSION): Operation(),
    ("POST", f"{_VERSION}/undelete"): Operation(),
    ("POST", f"{_VERSION}/release"): Operation(body="ReleaseDraft"),
    ("POST", f"{_VERSION}/unrelease"): Operation(),
    ("PATCH", f"{_DATASET}/variables"): Operation(body="VariablesChanges", media_types=_DELETED),
    ("GET", f"{_DATASET}/tables"): Operation(query=_PAGED),
    ("POST", f"{_DATASET}/tables"): Operation(body="TableDraft", status=201),
    ("GET", _TABLE): Operation(),
    ("PATCH", _TABLE): Operation(body="TableChanges"),
    ("DELETE", _TABLE): Operation(media_types=_DELETED),
    ("GET", f"{_TABLE}/variables"): Operation(query=(*_PAGED, "type")),
    ("PATCH", f"{_TABLE}/variables"): Operation(body="VariablesChanges", media_types=_DELETED),
    ("GET", f"{_TABLE}/variables/{{variable}}"): Operation(),
    ("PATCH", f"{_TABLE}/variables/{{variable}}"): Operation(body="VariableChanges"),
    ("GET", f"{_TABLE}/variables/{{variable}}/statistics"): Operation(),
    ("GET", f"{_TABLE}/uploads"): Operation(query=_PAGED),
    ("POST", f"{_TABLE}/uploads"): Operation(body="UploadDraft", status=201),
    ("GET", _UPLOAD): Operation(),
    ("DELETE", _UPLOAD): Operation(media_types=_DELETED),
    ("GET", f"{_UPLOAD}/variables"): Operation(query=(*_PAGED, "type")),
    ("GET", f"{_UPLOAD}/variables/{{variable}}"): Operation(),
    ("GET", f"{_UPLOAD}/variables/{{variable}}/statistics"): Operation(),
    ("GET", f"{_TABLE}/rows"): Operation(
        query=("format", "selectedVariables", "maxResults"), media_types=_ROWS_MEDIA_TYPES
    ),
    ("POST", f"{_TABLE}/readSessions"): Operation(body="ReadSessionDraft"),
    ("POST", f"{_UPLOAD}/readSessions"): Operation(body="ReadSessionDraft"),
    ("GET", f"{API}/readStreams/{{stream}}"): Operation(
        query=("offset", "eosSentinel"), media_types=_ROWS_MEDIA_TYPES
    ),
    ("GET", f"{API}/openAPI.json"): Operation(),
    ("GET", f"{API}/openAPI.yaml"): Operation(media_types=("application/yaml",)),
    ("GET", "/healthz"): Operation(),
    ("GET", "/readyz"): Operation(),
    ("GET", "/metrics"): Operation(media_types=("text/plain",)),
}

_parameters_of = re.compile(r"\{(\w+)\}").findall
_INTEGERS = frozenset({"maxResults", "offset"})


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
        operation = _operation(OPERATIONS[method, path], path, handler.__qualname__, handler.__doc__ or "")
        paths.setdefault(path, {})[method.lower()] = operation
    paths[INSERT_ROWS_PATH] = {"post": _insert_rows()}
    return {
        "openapi": "3.1.0",
        "info": {"title": "rowkeep", "version": "1", "description": "Stream rows into typed tables."},
        "paths": dict(sorted(paths.items())),
        "components": {
            "schemas": _schemas(),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{"token": []}, {}],
    }


def _operation(operation: Operation, path: str, qualified_name: str, docstring: str) -> Json:
    described: Json = {
        "operationId": qualified_name.replace("Handlers.", "."),
        "summary": inspect.cleandoc(docstring).partition("\n")[0],
        "parameters": [
            *(
                {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
                for name in _parameters_of(path)
            ),
            *(
                {"name": name, "in": "query", "schema": {"type": _query_type(name)}}
                for name in operation.query
            ),
        ],
        "responses": {
            str(operation.status): {
                "description": "Done.",
                "content": {media_type: {} for media_type in operation.media_types},
            },
            "default": _error_response(),
        },
    }
    if operation.body is not None:
        described["requestBody"] = _json_body(operation.body)
    return described


def _query_type(name: str) -> str:
    return "integer" if name in _INTEGERS else "string"


def _json_body(schema: str) -> Json:
    return {"required": True, "content": {"application/json": {"schema": _reference(schema)}}}


def _reference(schema: str) -> Json:
    return {"$ref": f"#/components/schemas/{schema}"}


def _error_response() -> Json:
    return {
        "description": "Refused; `error` says why, `error_description` what to do.",
        "content": {"application/json": {"schema": _reference("Error")}},
    }


def _insert_rows() -> Json:
    described = _operation(
        Operation(body="InsertRowsRequest", status=201), INSERT_ROWS_PATH, "insertRows", "Inserts rows."
    )
    described["parameters"].append(
        {"name": "Idempotency-Key", "in": "header", "schema": {"type": "string", "maxLength": 255}}
    )
    described["responses"]["201"] = {
        "description": "Every row of the request is durable and visible to the next read.",
        "content": {"application/json": {"schema": _reference("InsertRowsResponse")}},
    }
    return described


def _schemas() -> Json:
    _, components = msgspec.json.schema_components(
        [*_BODIES, RowError],
        ref_template="#/components/schemas/{name}",
    )
    return {
        **components,
        "Error": {
            "type": "object",
            "required": ["status", "error", "error_description"],
            "properties": {
                "status": {"type": "integer", "enum": sorted(set(STATUS_OF_CODE.values()))},
                "error": {"type": "string", "enum": [code.value for code in ErrorCode]},
                "error_description": {"type": "string"},
                "scope": {"type": "string"},
                "errors": {"type": "array", "maxItems": 100, "items": _reference("RowError")},
                "errorCount": {"type": "integer"},
            },
        },
        "InsertRowsRequest": {
            "type": "object",
            "required": ["rows"],
            "properties": {
                "rows": {"type": "array", "items": {"type": "object"}},
                "updateSchema": {"type": ["boolean", "null"]},
                "updateVariables": {"type": ["boolean", "null"]},
            },
        },
        "InsertRowsResponse": {
            "type": "object",
            "required": ["kind", "rowsAdded", "rowsSkipped", "schemaUpdates"],
            "properties": {
                "kind": {"const": "insertRowsResponse"},
                "rowsAdded": {"type": "integer"},
                "rowsSkipped": {"type": "integer"},
                "schemaUpdates": {"type": "array", "items": {"type": "object"}},
            },
        },
    }
