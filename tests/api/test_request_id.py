"""X-Request-Id: an answer says which request it belongs to, so that none is taken for another's."""

import pytest

from tests import plain_http
from tests.server_process import ServerProcess

INSERT = "/tables/a.b.c/uploads/d/rows"


@pytest.mark.parametrize(("method", "path"), [("POST", INSERT), ("GET", "/users/me"), ("GET", "/nowhere")])
def test_the_answer_bears_the_id_of_its_request(server: ServerProcess, method: str, path: str) -> None:
    """On every path, also where the request is refused."""
    headers = {"X-Request-Id": "Job-7.batch_12"}
    answer = plain_http.request(method, f"{server.url}{path}", headers=headers)
    assert answer.headers.get_list("x-request-id") == ["Job-7.batch_12"]


@pytest.mark.parametrize("asked", ["", "two words", "x" * 129, "semi;colon", 'quoted"', "umlaut-\xe4"])
def test_an_id_that_is_not_fit_for_a_log(server: ServerProcess, asked: str) -> None:
    """The server makes one of its own instead, a new one for each request."""
    headers = {"X-Request-Id": asked.encode("latin-1")}
    made = [
        plain_http.post(f"{server.url}{INSERT}", headers=headers).headers["x-request-id"] for _ in range(2)
    ]
    assert asked not in made
    assert made[0] != made[1]
