"""Every route has a bound: a caller who has used up what one caller may ask gets 429 from each.

The routes are those of the API's document, which is made of the table of routes; a new one that does not ask
for its bound fails here. Inserts have limits of their own (tests/api/test_rate_limits.py).
"""

import re
from collections.abc import Iterator

import pytest

from tests import plain_http
from tests.server_process import ServerProcess

ALWAYS_ANSWERED = {"/healthz", "/readyz", "/metrics"}
INSERTS = "/uploads/{upload}/rows"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server of which a caller may ask two things in a quarter of an hour."""
    made = ServerProcess(
        tmp_path_factory.mktemp("routes") / "data",
        token_asks_per_second_max="0.002",
        address_asks_per_second_max="0.002",
        rate_burst_seconds="1000",
    )
    made.start()
    yield made
    assert made.stop() == 0
    made.close()


@pytest.mark.parametrize("has_token", [True, False], ids=["a token", "nobody"])
def test_every_route_has_a_bound(server: ServerProcess, has_token: bool) -> None:
    """Whatever is asked, in whatever way; health and metrics are answered all the while."""
    headers = {"Authorization": f"Bearer {server.token}"} if has_token else {}
    with plain_http.client(base_url=server.url.removesuffix("/api/v1"), headers=headers) as client:
        document = client.get("/api/v1/openAPI.json")
        paths = document.json()["paths"]
        client.get("/api/v1/openAPI.json")
        asked = 0
        for path, operations in paths.items():
            for method in operations.keys() & {"get", "post", "put", "patch", "delete", "head"}:
                if method == "post" and path.endswith(INSERTS):
                    continue
                answer = client.request(method, re.sub(r"\{[^}]*\}", "a.b.c", path))
                if path in ALWAYS_ANSWERED:
                    assert answer.status_code == 200, path
                    continue
                assert answer.status_code == 429, (method, path, answer.text)
                assert int(answer.headers["Retry-After"]) > 0
                asked += 1
        assert asked > 50
