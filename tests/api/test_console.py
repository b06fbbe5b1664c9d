"""The console as HTTP: who is sent there, what guards it, and how sessions end."""

from collections.abc import Iterator

import httpx
import pytest

from rowkeep.model.access import Caller
from rowkeep.web.sessions import (
    ATTEMPTS_MAX,
    ATTEMPTS_SECONDS,
    IDLE_SECONDS_MAX,
    SESSION_SECONDS_MAX,
    SESSIONS_MAX,
    Attempts,
    Sessions,
)
from tests import plain_http
from tests.command_line import rowkeep
from tests.server_process import ServerProcess

BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
OWN_PAGE = {"Sec-Fetch-Site": "same-origin"}
SIGN_IN = "/console/sign-in"
CALLER = Caller(b"hash of a token")


@pytest.fixture
def client(server: ServerProcess) -> Iterator[httpx.Client]:
    """A browser that is not signed in, at the server's root."""
    with plain_http.client(base_url=server.url.removesuffix("/api/v1"), headers=BROWSER) as opened:
        yield opened


@pytest.fixture(scope="module")
def signed_in(server: ServerProcess) -> Iterator[httpx.Client]:
    """A browser that is signed in. Tests share it: signing in is rate-limited."""
    with plain_http.client(base_url=server.url.removesuffix("/api/v1"), headers=BROWSER) as opened:
        assert sign_in(opened, server.token).status_code == 303
        yield opened


def sign_in(client: httpx.Client, token: str, following: str = "") -> httpx.Response:
    """Signs in; returns the answer to the form."""
    return client.post(SIGN_IN, data={"token": token, "next": following}, headers=OWN_PAGE)


def test_a_browser_is_sent_to_the_console(client: httpx.Client) -> None:
    """A browser that opens the server's address finds the console; a program still finds the API's 404."""
    answer = client.get("/")
    assert (answer.status_code, answer.headers["location"]) == (303, "/console")
    program = client.get("/", headers={"Accept": "*/*"})
    assert program.status_code == 404
    assert program.json()["error"] == "not_found_error"


def test_every_page_takes_a_session(client: httpx.Client) -> None:
    """Who is not signed in is asked to, whatever page it is; the page comes back afterwards."""
    answer = client.get("/console/tables/demo.a.b?row=5")
    assert answer.status_code == 303
    assert answer.headers["location"] == f"{SIGN_IN}?next=%2Fconsole%2Ftables%2Fdemo.a.b%3Frow%3D5"
    assert client.get("/console").headers["location"] == SIGN_IN


def test_the_cookie_is_closed_to_scripts_and_other_sites(client: httpx.Client, server: ServerProcess) -> None:
    """The session's cookie is HttpOnly and SameSite=Strict, and is another one at every sign-in."""
    cookies = [sign_in(client, server.token).headers["set-cookie"] for _ in range(2)]
    assert all("; HttpOnly; SameSite=Strict" in cookie for cookie in cookies)
    assert cookies[0] != cookies[1]
    first = cookies[0].partition(";")[0]
    with plain_http.client(base_url=client.base_url, headers={**BROWSER, "Cookie": first}) as other:
        assert other.get("/console").headers["location"] == SIGN_IN  # the second sign-in ended the first


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "http://elsewhere.example"},
        {"Origin": "null"},
    ],
)
@pytest.mark.parametrize(
    "path",
    [
        SIGN_IN,
        "/console/sign-out",
        "/console/datasets",
        "/console/datasets/demo.a/release",
        "/console/datasets/demo.a/access",
        "/console/datasets/demo.a/access/public",
        "/console/tables/demo.a.b/uploads",
        "/console/tables/demo.a.b/uploads/c/undo",
        "/console/tables/demo.a.b/uploads/c/quarantine/discard",
    ],
)
def test_other_sites_change_nothing(
    signed_in: httpx.Client, server: ServerProcess, path: str, headers: dict[str, str]
) -> None:
    """A form that no page of the console sent is refused before anything else, whoever is signed in."""
    answer = signed_in.post(path, data={"token": server.token}, headers=headers)
    assert answer.status_code == 403
    assert "No page of this console sent this." in answer.text
    assert signed_in.get("/console").status_code == 200


def test_an_origin_will_do(client: httpx.Client, server: ServerProcess) -> None:
    """A browser that says only the origin of a page, as all do over HTTP, is let in from this one."""
    origin = str(client.base_url).rstrip("/")
    answer = client.post(SIGN_IN, data={"token": server.token}, headers={"Origin": origin})
    assert answer.status_code == 303


@pytest.mark.parametrize(
    "following",
    ["https://elsewhere.example/console/", "//elsewhere.example", "/console/\r\nX: y", "/\\e", ""],
)
def test_signing_in_leads_to_pages_of_the_console_alone(
    client: httpx.Client, server: ServerProcess, following: str
) -> None:
    """A link cannot make the sign-in page lead to another site."""
    assert sign_in(client, server.token, following).headers["location"] == "/console"


def test_every_answer_says_what_a_page_may_do(signed_in: httpx.Client) -> None:
    """No page may run a script or load anything from elsewhere; none stays in a cache."""
    for path in ("/console", SIGN_IN, "/console/nothing"):
        headers = signed_in.get(path).headers
        policy = headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; ")
        assert "script" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"


def test_a_revoked_token_ends_its_sessions(own_server: ServerProcess) -> None:
    """Rights are looked up at every request: a session can do no more than its token can now."""
    token = rowkeep("token", "create", "--user", own_server.user, data_dir=own_server.data_dir)
    listed = rowkeep("token", "list", data_dir=own_server.data_dir).splitlines()
    with plain_http.client(base_url=own_server.url.removesuffix("/api/v1"), headers=BROWSER) as client:
        assert sign_in(client, token).status_code == 303
        assert client.get("/console").status_code == 200
        rowkeep("token", "revoke", listed[-1].split()[0], data_dir=own_server.data_dir)
        assert client.get("/console").headers["location"] == SIGN_IN


def test_signing_in_is_rate_limited(own_server: ServerProcess) -> None:
    """So many attempts a minute, good or bad; then even a good token has to wait."""
    with plain_http.client(base_url=own_server.url.removesuffix("/api/v1"), headers=BROWSER) as client:
        statuses = [sign_in(client, "wrong").status_code for _ in range(ATTEMPTS_MAX)]
        assert statuses == [403] * ATTEMPTS_MAX
        answer = sign_in(client, own_server.token)
        assert answer.status_code == 429
        assert "set-cookie" not in answer.headers
        assert "Try again in" in answer.text


def test_attempts_are_counted_by_address_and_minute() -> None:
    """One address cannot lock out another, and a minute later it may try again."""
    now = [0.0]
    attempts = Attempts(lambda: now[0])
    assert [attempts.wait_seconds("a") for _ in range(ATTEMPTS_MAX)] == [0] * ATTEMPTS_MAX
    now[0] = 20
    assert attempts.wait_seconds("a") == ATTEMPTS_SECONDS - 20
    assert attempts.wait_seconds("b") == 0
    now[0] = ATTEMPTS_SECONDS
    assert attempts.wait_seconds("a") == 0


def test_sessions_end_when_idle_and_in_any_case() -> None:
    """A session lasts while it is used, and never longer than it may."""
    now = [0.0]
    sessions = Sessions(lambda: now[0])
    idle = sessions.begin(CALLER, "demo")
    now[0] = IDLE_SECONDS_MAX + 1
    assert sessions.find(idle) is None
    used = sessions.begin(CALLER, "demo")
    began_at = now[0]
    while now[0] - began_at <= SESSION_SECONDS_MAX:
        assert sessions.find(used) is not None
        now[0] += IDLE_SECONDS_MAX / 2
    assert sessions.find(used) is None


def test_sessions_are_bounded() -> None:
    """Beyond the most there may be, the one that was idle longest goes."""
    sessions = Sessions()
    first, second = sessions.begin(CALLER, "a"), sessions.begin(CALLER, "b")
    assert sessions.find(first) is not None
    for _ in range(SESSIONS_MAX - 1):
        sessions.begin(CALLER, "c")
    assert sessions.find(second) is None
    assert sessions.find(first) is not None
