"""What an operator's tools ask: histograms, refusals, places and the disk in /metrics, and who may see it."""

import re
from collections.abc import Iterator

import pytest

from tests import plain_http
from tests.api.stream import Stream
from tests.server_process import ServerProcess

INSERT = 'method="POST",route="/api/v1/tables/{table}/uploads/{upload}/rows"'


def metrics_of(server: ServerProcess) -> dict[str, float]:
    """Every figure by its name with its labels."""
    text = plain_http.get(f"{server.url.removesuffix('/api/v1')}/metrics").text
    lines = [line.rpartition(" ") for line in text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in lines}


def test_answers_have_their_time_by_route_and_phase(server: ServerProcess) -> None:
    """An insert adds one to each histogram of its route and of all its phases, and the buckets add up."""
    before = metrics_of(server)
    stream = Stream(server.url, server.token, None, server.user)
    stream.insert({"rows": [{"n": 1}], "updateSchema": True})
    plain_http.get(f"{server.url}/no/such/path")
    after = metrics_of(server)

    def grown(name: str) -> float:
        return after[name] - before.get(name, 0)

    assert grown(f"rowkeep_request_seconds_count{{{INSERT}}}") >= 1
    assert grown(f'rowkeep_request_seconds_bucket{{le="+Inf",{INSERT}}}') >= 1
    assert grown(f"rowkeep_request_seconds_sum{{{INSERT}}}") > 0
    assert grown('rowkeep_request_seconds_count{method="POST",route="/api/v1/users/{owner}/datasets"}') >= 1
    assert grown('rowkeep_request_seconds_count{method="GET",route="none"}') >= 1
    for phase in ("read", "decode", "queue", "commit", "fsync"):
        assert grown(f'rowkeep_insert_phase_seconds_count{{phase="{phase}"}}') >= 1
    buckets = [value for name, value in after.items() if name.startswith("rowkeep_request_seconds_bucket")]
    assert buckets
    stream.close()


def test_routes_are_few(server: ServerProcess) -> None:
    """A route is a label by its pattern, whatever is asked for: nobody can make labels."""
    for path in ("/users/one", "/users/two", "/made/up", "/made/up/too"):
        plain_http.get(f"{server.url}{path}")
    plain_http.request("BREW", f"{server.url}/users/one")
    labelled = [name for name in metrics_of(server) if "route=" in name]
    assert labelled
    assert not [name for name in labelled if "/one" in name or "/two" in name or "/made" in name]
    assert not [name for name in labelled if "BREW" in name]


def test_refusals_are_counted_by_reason(server: ServerProcess) -> None:
    """Each error code is there from the start, and a refusal adds one to its own."""
    name = 'rowkeep_refusals_total{error="invalid_token"}'
    before = metrics_of(server)
    assert 'rowkeep_refusals_total{error="rate_limit_exceeded"}' in before
    plain_http.get(f"{server.url}/users/me", headers={"Authorization": "Bearer wrong"})
    assert metrics_of(server)[name] == before[name] + 1


def test_places_disk_and_process_are_told(server: ServerProcess) -> None:
    """How many places of each kind there are, how full the disk is, what the process takes."""
    found = metrics_of(server)
    assert found['rowkeep_places{kind="followers"}'] == 50
    assert found['rowkeep_places_taken{kind="query"}'] >= 0
    assert found["rowkeep_disk_bytes"] >= found["rowkeep_disk_free_bytes"] > 0
    assert found["rowkeep_database_bytes"] > 0
    assert found["process_resident_memory_bytes"] > 0
    assert found["process_open_fds"] > 0


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server whose metrics have an address and a token of their own."""
    started = ServerProcess(
        tmp_path_factory.mktemp("guarded") / "data",
        metrics_token="let-me-see",
        metrics_address="127.0.0.1:0",
    )
    started.start()
    yield started
    assert started.stop() == 0
    started.close()


def test_metrics_at_their_own_address_for_who_has_the_token(guarded: ServerProcess) -> None:
    """With the API they are not found; at their address they ask for the token, and nothing else is there."""
    api = guarded.url.removesuffix("/api/v1")
    token = {"Authorization": "Bearer let-me-see"}
    found = re.search(r'"url": "(http://[^"]*)/metrics"', guarded.log())
    assert found is not None
    own = found[1]
    for path in ("/metrics", "/readyz"):
        assert plain_http.get(f"{api}{path}", headers=token).status_code == 404
        assert plain_http.get(f"{own}{path}").status_code == 401
        wrong = {"Authorization": f"Bearer {guarded.token}"}
        assert plain_http.get(f"{own}{path}", headers=wrong).status_code == 401
        assert plain_http.get(f"{own}{path}", headers=token).status_code == 200
    assert plain_http.get(f"{own}/healthz").status_code == 200
    assert plain_http.get(f"{api}/healthz").status_code == 200
    for path in ("/api/v1/users/me", "/console", "/metrics/"):
        assert plain_http.get(f"{own}{path}", headers=token).status_code == 404
    assert "let-me-see" not in guarded.log()


def test_the_console_tells_no_more_than_metrics(guarded: ServerProcess) -> None:
    """Where metrics take a token of their own, no page shows them to whoever is signed in."""
    with plain_http.client(base_url=guarded.url.removesuffix("/api/v1")) as client:
        headers = {"Sec-Fetch-Site": "same-origin"}
        client.post("/console/sign-in", data={"token": guarded.token}, headers=headers)
        page = client.get("/console/server")
        assert page.status_code == 200
        assert "keeps its figures apart" in page.text
        assert "Rows committed" not in page.text
