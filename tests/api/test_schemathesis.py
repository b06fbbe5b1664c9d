"""The server keeps to its OpenAPI document, whatever it is sent: schemathesis makes up the requests.

Requests are generated from the document, valid ones and others, three in four for things that exist. Each
answer must have a status, a media type and a shape that its route documents, with no key beyond those.
"""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests import plain_http
from tests.api.places import Places
from tests.api.publishing import Json
from tests.command_line import rowkeep
from tests.routes import OPERATIONS
from tests.server_process import ServerProcess

EXAMPLES = 20
EXAMPLES_OF_ALL = 300
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
ACTIONS = ("", "/{version}/undelete", "/{version}/unrelease")
# Where one made up by chance hardly ever goes through.
GOOD_BODIES: dict[tuple[str, str], Json] = {
    ("POST", "/api/v1/tables/{table}/uploads"): {"name": "u", "type": "stream"},
    ("POST", "/api/v1/datasets/{dataset}/tables"): {"name": "t"},
    ("POST", "/api/v1/tables/{table}/exports"): {"format": "csv"},
    ("POST", "/api/v1/tables/{table}/uploads/{upload}/exports"): {"format": "csv"},
    ("POST", "/api/v1/queries/{query}/exports"): {"format": "csv"},
    ("POST", "/api/v1/exports/{export}/downloadLinks"): {"filePart": 0},
    ("POST", "/api/v1/tables/{table}/downloadLinks"): {"format": "csv"},
    ("POST", "/api/v1/tables/{table}/uploads/{upload}/downloadLinks"): {"format": "csv"},
}
REQUEST_PARTS = {"method", "url", "headers", "params", "data", "json", "cookies", "files"}
# What a release or a deletion made possible and nothing here does; test_versions.py does.
HARD_TO_REACH = {("POST", f"/api/v1/datasets/{{dataset}}/versions{action}") for action in ACTIONS}
ROUTES = list(OPERATIONS)


@pytest.fixture(scope="module")
def tried_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A running server that nothing else depends on."""
    started = ServerProcess(tmp_path_factory.mktemp("tried") / "data")
    rowkeep("user", "create", "grace", data_dir=started.data_dir)
    started.start()
    yield started
    assert started.stop() == 0
    assert "internal error" not in started.log()
    started.close()


@pytest.fixture(scope="module")
def tokens(tried_server: ServerProcess) -> list[str]:
    """The owner's token four times over, one that is good for reading, a stranger's, a bad one, none."""

    def token(*arguments: str) -> str:
        return rowkeep("token", "create", *arguments, data_dir=tried_server.data_dir)

    reader = token("--user", tried_server.user, "--scope", "data.data")
    return [*[tried_server.token] * 4, reader, token("--user", "grace"), "bad", ""]


@pytest.fixture(scope="module")
def places(tried_server: ServerProcess) -> Iterator[Places]:
    """What the paths name."""
    made = Places(tried_server)
    yield made
    made.forget()


def closed(schema: Any) -> Any:
    """A schema whose objects hold no key beyond those that it names."""
    if isinstance(schema, list):
        return [closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    inner = {name: closed(value) for name, value in schema.items()}
    return {**inner, "additionalProperties": False} if "properties" in schema else inner


@pytest.fixture(scope="module")
def document(tried_server: ServerProcess) -> Any:
    """What the server says of itself; answers are held to it, requests may hold more."""
    served: Json = plain_http.get(f"{tried_server.url}/openAPI.json").json()
    schemas = served["components"]["schemas"]
    taken = {
        body["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
        for path in served["paths"].values()
        for operation in path.values()
        if (body := operation.get("requestBody"))
    }
    served["components"]["schemas"] = {
        name: schema if name in taken else closed(schema) for name, schema in schemas.items()
    }
    return schemathesis.openapi.from_dict(served)


def cases_of(operation: Any) -> some.SearchStrategy[Any]:
    """Requests for an operation: valid ones, and where something can be wrong, others."""
    valid = operation.as_strategy(generation_mode=GenerationMode.POSITIVE)
    if (operation.method.upper(), operation.path) in GOOD_BODIES:
        body = GOOD_BODIES[operation.method.upper(), operation.path]
        valid = some.one_of(valid, operation.as_strategy(body=body, media_type="application/json"))
    if operation.body or operation.query:
        return some.one_of(valid, operation.as_strategy(generation_mode=GenerationMode.NEGATIVE))
    return valid


def send(client: httpx.Client, parts: Json) -> httpx.Response:
    """Sends a generated request; schemathesis' own way does not get on with urllib3-future (of redivis)."""
    asked = requests.Request(**{name: value for name, value in parts.items() if name in REQUEST_PARTS})
    prepared = asked.prepare()
    body = prepared.body.encode() if isinstance(prepared.body, str) else prepared.body
    return client.send(
        httpx.Request(prepared.method or "", prepared.url or "", headers=dict(prepared.headers), content=body)
    )


@pytest.mark.parametrize(
    "examples", [EXAMPLES, pytest.param(EXAMPLES_OF_ALL, marks=pytest.mark.long)], ids=["share", "whole"]
)
@pytest.mark.parametrize(("method", "path"), ROUTES, ids=[f"{method} {path}" for method, path in ROUTES])
def test_every_answer_is_documented(
    tried_server: ServerProcess,
    document: Any,
    places: Places,
    tokens: list[str],
    method: str,
    path: str,
    examples: int,
) -> None:
    """Every answer has a status, a type and a shape that the route documents, and none is a server error."""
    origin = tried_server.url.removesuffix("/api/v1")
    client = plain_http.client(timeout=30)

    @settings(
        max_examples=examples,
        derandomize=True,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(
        case=cases_of(document[path][method]),
        is_real=some.sampled_from([True, True, True, False]),
        caller=some.integers(0, len(tokens) - 1),
    )
    def check(case: Any, caller: int, *, is_real: bool) -> None:
        if is_real:
            case.path_parameters = {**(case.path_parameters or {}), **places.of(path)}
        if "true" in str((case.query or {}).get("follow")):
            case.query["maxResults"] = 0  # to follow would take for ever
        token = tokens[caller]
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        response = send(client, case.as_transport_kwargs(base_url=origin, headers=headers))
        if is_real and method == "DELETE" and response.status_code == 200:
            places.forget()
        statuses.add(response.status_code)
        case.validate_response(response, checks=CHECKS)

    statuses: set[int] = set()
    check()
    places.forget()
    assert ((method, path) in HARD_TO_REACH) != bool({200, 201} & statuses), statuses
    client.close()
