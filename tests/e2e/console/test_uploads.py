"""Uploads in the console: files are imported, errors read by line, requests undone, rows replayed."""

import gzip
import itertools

import pytest
from playwright.sync_api import Page

from tests.api.caller import Caller
from tests.e2e.console.world import origin_of, publish
from tests.server_process import ServerProcess

_numbers = itertools.count(1)


@pytest.fixture
def fresh(server: ServerProcess) -> str:
    """The reference of a table with one row in one stream, which no other test writes to."""
    return publish(server, f"Fresh {next(_numbers)}", "Answers", [{"number": 1}])


def uploads_page(page: Page, server: ServerProcess, table: str) -> None:
    """Opens the uploads of a table as a person does."""
    page.goto(f"{origin_of(server)}/console/tables/{table}")
    page.get_by_role("link", name="Uploads", exact=True).click()


def send_file(page: Page, name: str, content: bytes) -> None:
    """Chooses a file and imports it; waits for the page of its load."""
    page.get_by_label("File", exact=True).set_input_files(
        {"name": name, "mimeType": "text/csv", "buffer": content}
    )
    page.get_by_role("button", name="Import").click()
    page.wait_for_url("**/uploads/*")
    page.get_by_text("This page looks again").wait_for(state="detached")


def test_a_file_is_imported(page: Page, server: ServerProcess, fresh: str) -> None:
    """A person chooses a file; the page says what it was read as, and its rows are in the table."""
    uploads_page(page, server, fresh)
    send_file(page, "wave 2.csv", "number;name\n2;Zoë\n3;Ana\n".encode("cp1252"))
    assert "Loaded: 2 rows" in page.get_by_role("status").inner_text()
    facts = page.locator("dl.facts").inner_text()
    assert "delimited" in facts
    assert ";" in facts
    page.get_by_role("link", name="Look at the rows").click()
    rows = page.get_by_role("region", name="Rows of the table").locator("tbody tr")
    assert rows.count() == 3
    assert "Zoë" in rows.nth(1).inner_text()
    page.get_by_role("link", name="Uploads", exact=True).click()
    listed = page.get_by_role("region", name="Uploads").locator("tbody tr").last.inner_text()
    assert "wave 2.csv" in listed
    assert "completed" in listed


def test_a_file_that_cannot_be_read_says_where(page: Page, server: ServerProcess, fresh: str) -> None:
    """Nothing of a bad file goes in; each bad record is told with its line. Skipped, it is in quarantine."""
    content = b"number,name\n1,a\n2,b,c\n3,d\n"
    uploads_page(page, server, fresh)
    send_file(page, "bad.csv", content)
    assert page.get_by_role("alert").inner_text()
    bad = page.get_by_role("region", name="Records that cannot be read as rows").locator("tbody tr")
    assert bad.count() == 1
    assert bad.locator("td").first.inner_text() == "3"
    page.get_by_role("link", name="import it again").click()
    page.get_by_text("Say more about the file").click()
    page.get_by_label("Load what can be read").check()
    send_file(page, "bad.csv", content)
    assert "Loaded: 2 rows" in page.get_by_role("status").inner_text()
    page.get_by_role("link", name="They are in the quarantine").click()
    region = page.get_by_role("region", name="Rows in the quarantine")
    assert "2,b,c" in region.inner_text()


def test_an_import_without_a_file(page: Page, server: ServerProcess, fresh: str) -> None:
    """A form that was sent without a file makes no upload, and says what to do."""
    uploads_page(page, server, fresh)
    page.evaluate("document.querySelector('#data').removeAttribute('required')")
    page.get_by_role("button", name="Import").click()
    assert "No file was chosen" in page.get_by_role("alert").inner_text()
    uploads_page(page, server, fresh)
    assert page.get_by_role("region", name="Uploads").locator("tbody tr").count() == 1


def test_a_stream_is_created_and_deleted(page: Page, server: ServerProcess, fresh: str) -> None:
    """A person makes a stream, sees how programs send rows, and deletes it again."""
    uploads_page(page, server, fresh)
    page.get_by_label("Name", exact=True).fill("sensor 1")
    page.get_by_role("button", name="Create the stream").click()
    page.wait_for_url("**/uploads/sensor%201")
    command = page.get_by_label("How a program inserts rows").inner_text()
    assert command.startswith(f"rowkeep insert {server.user}.")
    page.get_by_text("Delete this upload").click()
    page.get_by_role("button", name="Delete it with its rows").click()
    page.wait_for_url("**/uploads")
    assert "sensor 1" not in page.get_by_role("region", name="Uploads").inner_text()


def test_a_load_is_cancelled(page: Page, server: ServerProcess, fresh: str) -> None:
    """While a file is loaded its page can cancel that; the upload is gone then, and no row of it is left."""
    uploads_page(page, server, fresh)
    # Little to send, and so many rows that no machine loads them before a click.
    content = gzip.compress(b"a,b,c,d\n") + 40 * gzip.compress(100_000 * b"12345,some text,0.5,true\n", 1)
    page.get_by_label("File", exact=True).set_input_files(
        {"name": "long.csv.gz", "mimeType": "application/gzip", "buffer": content}
    )
    page.get_by_role("button", name="Import").click()
    page.wait_for_url("**/uploads/long_csv_gz")
    assert page.get_by_role("progressbar").count() == 1
    page.get_by_text("Cancel the load").click()
    page.get_by_role("button", name="Cancel it now").click()
    page.wait_for_url("**/uploads")
    assert "long.csv" not in page.get_by_role("region", name="Uploads").inner_text()
    page.get_by_role("link", name="Rows", exact=True).click()
    assert page.get_by_text("1 rows, 1 variables").count() == 1


def test_a_request_is_looked_up_and_undone(page: Page, server: ServerProcess, fresh: str) -> None:
    """A stream lists its requests by key, with the receipt or the reasons; one is undone with a click."""
    caller = Caller(server.url)
    rows = f"/api/v1/tables/{fresh}/uploads/answers/rows"
    for key, number, status in (("first", 2, 201), ("second", "many", 400)):
        body = {"rows": [{"number": number}], "updateSchema": False}
        headers = {"Idempotency-Key": key}
        assert caller.ask(server.token, "POST", rows, body, **headers).status == status
    caller.close()
    page.goto(f"{origin_of(server)}/console/tables/{fresh}/uploads/answers")
    listed = page.get_by_role("region", name="Requests with a key").locator("tbody tr")
    assert [row.locator("td").nth(1).inner_text() for row in listed.all()] == ["rejected", "stored"]
    listed.first.get_by_text("Why").click()
    assert "number" in listed.first.locator("li").inner_text()
    listed.last.get_by_text("Receipt").click()
    assert len(listed.last.locator("code").first.inner_text()) == 64
    page.get_by_role("button", name="Undo this request").click()
    page.wait_for_load_state()
    assert listed.last.locator("td").nth(1).inner_text().startswith("undone")
    assert page.get_by_role("button", name="Undo this request").count() == 0
    assert page.get_by_text("A stream with 1 rows").count() == 1


def test_rows_in_quarantine(page: Page, server: ServerProcess, fresh: str) -> None:
    """What does not fit is marked in its row, digit by digit; it is tried again, and thrown away."""
    caller = Caller(server.url)
    rows = f"/api/v1/tables/{fresh}/uploads/answers/rows"
    bad = [{"number": 12345678901234567890123}, {"number": 4, "new": 0.5}, {"number": 5}]
    body = {"rows": bad, "updateSchema": False, "skipInvalidRows": True}
    caller.done(server.token, "POST", rows, body)
    page.goto(f"{origin_of(server)}/console/tables/{fresh}/uploads/answers")
    page.get_by_role("link", name="did not fit").click()
    marked = page.get_by_role("region", name="Rows in the quarantine").locator("td.bad")
    assert marked.locator("mark").all_inner_texts() == ["12345678901234567890123", "0.5"]
    assert all(marked.locator(".reason").all_inner_texts())
    page.get_by_role("button", name="Replay").click()
    page.wait_for_url("**/quarantine?**")
    assert page.get_by_role("status").inner_text().startswith("0 rows fit now")
    page.get_by_label("Add variables that are new").check()
    page.get_by_role("button", name="Replay").click()
    page.wait_for_url("**/quarantine?added=2&remaining=0")
    caller.done(server.token, "POST", rows, {**body, "rows": [{"number": 7, "undeclared": 8}]})
    caller.close()
    page.reload()
    page.get_by_text("Throw them away").click()
    page.get_by_role("button", name="Discard them").click()
    page.wait_for_url("**/uploads/answers")
    assert page.get_by_text("A stream with 4 rows").count() == 1
    assert page.get_by_role("link", name="did not fit").count() == 0
