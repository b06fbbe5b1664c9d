"""A data set whose every name and cell is HTML with a script in it, and a browser that is signed in."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import Browser, Page

from tests import plain_http
from tests.api.caller import Caller
from tests.server_process import ServerProcess

SCRIPT = "<script>window.ran = 1</script><img src=x onerror='window.ran = 1'>"
ATTRIBUTE = "\"><svg onload='window.ran = 1'>"
ROW_COUNT = 120
# The pages of uploads that a table of hostile rows has, behind `/uploads`.
HOSTILE_UPLOADS = ("/hostile", "/hostile/quarantine", "/file_csv")


def origin_of(server: ServerProcess) -> str:
    """Where pages are: the server's address without the API's path."""
    return server.url.removesuffix("/api/v1")


def publish(server: ServerProcess, name: str, table_name: str, rows: list[dict[str, Any]]) -> str:
    """Creates a data set with a table of these rows; returns the qualified reference of the table."""
    caller = Caller(server.url)
    user = f"/api/v1/users/{server.user}/datasets"
    dataset = caller.done(server.token, "POST", user, {"name": name, "description": f"About {SCRIPT}"[:256]})
    tables = f"/api/v1{dataset['uri']}/tables"
    table = caller.done(server.token, "POST", tables, {"name": table_name, "description": ATTRIBUTE})
    uploads = f"/api/v1{table['uri']}/uploads"
    caller.done(server.token, "POST", uploads, {"name": "answers", "type": "stream"})
    caller.done(server.token, "POST", f"{uploads}/answers/rows", {"rows": rows, "updateSchema": True})
    if len(rows) == ROW_COUNT:
        _add_hostile_uploads(caller, server, uploads)
    caller.close()
    return str(table["qualifiedReference"])


def _add_hostile_uploads(caller: Caller, server: ServerProcess, uploads: str) -> None:
    """Adds a stream with keys and a quarantine, and a file with bad records, all of HTML."""
    token = server.token
    caller.done(token, "POST", uploads, {"name": "hostile", "type": "stream"})
    rows = f"{uploads}/hostile/rows"
    good, bad = [{"number": 1}], [{"number": SCRIPT, SCRIPT: ATTRIBUTE}, {"number": 2, "text": [SCRIPT]}]
    # A key has no spaces; HTML does without.
    key, other = ({"Idempotency-Key": html.replace(" ", "/")} for html in (SCRIPT, ATTRIBUTE))
    went_in = caller.ask(token, "POST", rows, {"rows": good, "updateSchema": True}, **key)
    assert went_in.status == 201, went_in
    refused = caller.ask(token, "POST", rows, {"rows": bad, "updateSchema": False}, **other)
    assert refused.status == 400, refused
    skipping = {"rows": [*good, *bad], "updateSchema": False, "skipInvalidRows": True}
    assert caller.ask(token, "POST", rows, skipping).status == 201
    file = f"number,text\n1,{SCRIPT}\n{SCRIPT},x\n".encode()
    schema = json.dumps([{"name": "number", "type": "integer"}])
    with plain_http.client(headers={"Authorization": f"Bearer {server.token}"}) as client:
        address = f"{origin_of(server)}{uploads}"
        answer = client.post(
            address,
            params={"name": "file.csv", "schema": schema},
            headers={"Content-Type": "text/csv"},
            content=file,
        )
    assert answer.status_code == 201, answer.text


def hostile_rows() -> list[dict[str, Any]]:
    """Rows that would run a script in a page that does not escape them."""
    return [
        {"number": index, "text": SCRIPT, "other": ATTRIBUTE, "missing": None if index % 2 else "سلام"}
        for index in range(ROW_COUNT)
    ]


@contextmanager
def open_page(browser: Browser, **options: Any) -> Iterator[Page]:
    """A page in a browser window of its own."""
    context = browser.new_context(**options)
    page = context.new_page()
    try:
        yield page
    finally:
        context.close()


def sign_in(page: Page, server: ServerProcess) -> None:
    """Signs in as the server's user."""
    sign_in_with(page, server, server.token)


def sign_in_with(page: Page, server: ServerProcess, token: str) -> None:
    """Signs in as a person does."""
    page.goto(f"{origin_of(server)}/")
    page.get_by_label("API token").fill(token)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/console")
