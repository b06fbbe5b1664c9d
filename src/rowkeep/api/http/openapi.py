"""The OpenAPI 3.1 document, derived from the routes and from the structs that they take and answer.

The document is held by a golden file, and the server to the document by tests/api/test_schemathesis.py.
The YAML form is the JSON text: YAML 1.2 contains JSON. Source: contract 1.1, 7.30.
"""

import inspect
import re
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from rowkeep.api.http.insert_document import INSERT_ROWS_BODY, complete_insert_rows
from rowkeep.api.http.request import ApiRequest
from rowkeep.api.http.routes import API, FILE_TYPE, ROW_TYPES, Route, RouteTable
from rowkeep.api.http.shapes import Shape
from rowkeep.api.http.wire import STATUS_OF_CODE, Answer, ErrorResource, json_answer
from rowkeep.api.resources.insert_rows import (
    INSERT_ROWS_PATH,
    InsertRowsResponse,
    InsertRowsValidation,
    insert_rows_route,
)

Json = dict[str, Any]

# What every route may answer before its handler is asked.
_ERRORS_OF_HEADS = (414, 429, 431)
_ERRORS_OF_BODIES = (400, 408, 413, 415)
_REFERENCE = "#/components/schemas/{name}"
_parameters_of = re.compile(r"\{(\w+)\}").findall
_own_names = re.compile(r"(#/components/schemas/\w+?)Resource\b")


class OpenApiResource(Shape, frozen=True, kw_only=True):
    """The document itself, which describes OpenAPI documents no further."""


class DocumentHandlers:
    """Serves the document of a route table and of the document's own routes."""

    def __init__(self, table: RouteTable) -> None:
        self._document = document([*table, *self.table()])

    def table(self) -> RouteTable:
        """Returns the routes."""
        return [
            Route("GET", f"{API}/openAPI.json", self.get_json, OpenApiResource),
            Route("GET", f"{API}/openAPI.yaml", self.get_yaml, media_types=("application/yaml",)),
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
    """Returns the OpenAPI document of a route table and of insertRows."""
    shapes = Shapes([*table, insert_rows_route()])
    paths: dict[str, Json] = {}
    for route in table:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, shapes)
    paths.setdefault(INSERT_ROWS_PATH, {})["post"] = _insert_rows(shapes)
    described = {
        "openapi": "3.1.0",
        "info": {
            "title": "rowkeep",
            "version": "1",
            "description": "Stream rows into typed tables. What answers GET answers HEAD too; its errors "
            "then stand percent-encoded in the header X-REDIVIS-ERROR-PAYLOAD.",
        },
        "paths": dict(sorted(paths.items())),
        "components": {
            "schemas": {**shapes.components, "InsertRowsRequest": INSERT_ROWS_BODY},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{"token": []}, {}],
    }
    return _with_short_names(described)


class Shapes:
    """The JSON Schemas of all bodies and answers of routes, each named after its struct."""

    def __init__(self, table: Sequence[Route]) -> None:
        types = [ErrorResource, InsertRowsResponse, InsertRowsValidation, *_types_of(table)]
        schemas, components = msgspec.json.schema_components(types, ref_template=_REFERENCE)
        self._schemas = dict(zip(map(id, types), schemas, strict=True))
        for struct in _structs_of(types):
            _require_all(components[struct.__name__], struct)
        self.components: Json = components

    def of(self, type_: object) -> Json:
        """Returns the schema of a type that a route names."""
        return self._schemas[id(type_)]


def _types_of(table: Sequence[Route]) -> Iterator[Any]:
    for route in table:
        yield from (type_ for type_ in (route.body, route.answer) if type_ is not None)


def _structs_of(types: Sequence[Any]) -> set[type[Shape]]:
    """Returns the shapes among some types and within their fields, at any depth."""
    found: set[type[Shape]] = set()
    waiting = list(msgspec.inspect.multi_type_info(types))
    while waiting:
        info = waiting.pop()
        if isinstance(info, msgspec.inspect.StructType):
            if info.cls in found:
                continue
            if issubclass(info.cls, Shape):
                found.add(info.cls)
            waiting.extend(field.type for field in info.fields)
        waiting.extend(_parts_of(info))
    return found


def _parts_of(info: msgspec.inspect.Type) -> Iterator[msgspec.inspect.Type]:
    match info:
        case msgspec.inspect.UnionType():
            yield from info.types
        case msgspec.inspect.VarTupleType() | msgspec.inspect.ListType():
            yield info.item_type
        case msgspec.inspect.Metadata():
            yield info.type


def _require_all(schema: Json, struct: type[Shape]) -> None:
    """Marks each key of a struct's schema as required, except those that may be UNSET.

    A struct without fields describes an object of any keys.
    """
    properties = schema.get("properties", {})
    if not properties:
        schema.pop("properties", None)
    optional = {
        field.encode_name for field in msgspec.structs.fields(struct) if field.default is msgspec.UNSET
    }
    schema["required"] = [name for name in properties if name not in optional]
    for described in properties.values():
        described.pop("default", None)


def _with_short_names(described: Json) -> Json:
    """Renames schemas such as `DatasetResource` to `Dataset`, since clients read about resources only."""
    renamed: Json = msgspec.json.decode(_own_names.sub(r"\1", msgspec.json.encode(described).decode()))
    components = renamed["components"]
    components["schemas"] = {
        name.removesuffix("Resource"): schema for name, schema in sorted(components["schemas"].items())
    }
    for name, schema in components["schemas"].items():
        if "title" in schema:
            schema["title"] = name
    return renamed


def _operation(route: Route, shapes: Shapes) -> Json:
    qualified_name = getattr(route.handler, "__qualname__", "insertRows")
    described: Json = {
        "operationId": qualified_name.replace("Handlers.", "."),
        "summary": inspect.cleandoc(route.handler.__doc__ or "").partition("\n")[0],
        "parameters": [
            *(
                {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
                for name in _parameters_of(route.path)
            ),
            *({"name": asked.name, "in": "query", "schema": asked.schema} for asked in route.query),
        ],
        "responses": {
            str(route.status): _response(route, shapes),
            **{str(status): _error_response(status, route, shapes) for status in _errors(route)},
        },
    }
    if route.body is not None:
        described["requestBody"] = {
            "required": False,
            "content": {"application/json": {"schema": shapes.of(route.body)}},
        }
    return described


def _response(route: Route, shapes: Shapes) -> Json:
    content = {} if route.answer is None else {"schema": shapes.of(route.answer)}
    return {
        "description": "Done.",
        "content": {
            # What stands beside JSON holds the rows in another form.
            media_type: {} if media_type in (*ROW_TYPES, FILE_TYPE) else content
            for media_type in route.media_types
        },
    }


def _errors(route: Route) -> list[int]:
    """Returns the error statuses of a route. A route without errors of its own has none."""
    if not route.errors:
        return []
    of_body = () if route.body is None else _ERRORS_OF_BODIES
    of_write = () if route.method == "GET" else (503,)
    return sorted({*route.errors, *of_body, *of_write, *_ERRORS_OF_HEADS, 500})


def _error_response(status: int, route: Route, shapes: Shapes) -> Json:
    codes = sorted(code.value for code, mapped in STATUS_OF_CODE.items() if mapped == status)
    shape = route.answer if route.path == "/readyz" else ErrorResource
    return {
        "description": f"{' or '.join(codes)}: `error_description` says why and what to do.",
        "content": {"application/json": {"schema": shapes.of(shape)}},
    }


def _insert_rows(shapes: Shapes) -> Json:
    described = _operation(insert_rows_route(), shapes)
    described["operationId"] = "insertRows"
    described["summary"] = "Inserts rows."
    complete_insert_rows(described, shapes.of(InsertRowsValidation))
    return described
