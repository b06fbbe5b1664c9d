"""A data set whose every name and cell is HTML with a script in it, and a browser that is signed in."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import Browser, Page

from tests.api.caller import Caller
from tests.server_process import ServerProcess

SCRIPT = "<script>window.ran = 1</script><img src=x onerror='window.ran = 1'>"
ATTRIBUTE = "\"><svg onload='window.ran = 1'>"
ROW_COUNT = 120


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
    caller.close()
    return str(table["qualifiedReference"])


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
    """Signs in as a person does."""
    page.goto(f"{origin_of(server)}/")
    page.get_by_label("API token").fill(server.token)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/console")
