"""The first start: a server without users prints a link, and its page ends with lines that work as pasted."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests import plain_http
from tests.command_line import rowkeep
from tests.e2e.console.world import open_page

_link = re.compile(r"rowkeep: no users yet; make the first at (http://\S+)").match


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A server without users: the link that it prints, and its data directory."""
    command = [sys.executable, "-m", "rowkeep", "serve", "--data-dir", str(tmp_path / "data"), "--port", "0"]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
        assert process.stdout is not None
        process.stdout.readline()
        found = _link(process.stdout.readline())
        assert found is not None
        yield found[1], tmp_path / "data"
        process.terminate()
        assert process.wait(timeout=60) == 0
        process.stdout.close()


def test_from_an_empty_server_to_rows(browser: Browser, empty: tuple[str, Path]) -> None:
    """A person follows the link, names three things, pastes curl and Python lines, and sees the rows."""
    link, _ = empty
    with open_page(browser) as page:
        page.goto(link)
        page.get_by_label("Your user name").fill("ada")
        page.get_by_role("button", name="Create them").click()
        page.get_by_role("heading", name="Ready for rows").wait_for()
        curl, python = page.locator("#curl").inner_text(), page.locator("#python").inner_text()
        subprocess.run(["bash", "-c", f"{curl} --fail --silent"], check=True, capture_output=True)
        environment = {**os.environ, "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}
        ran = subprocess.run(
            [sys.executable, "-c", python], check=True, capture_output=True, text=True, env=environment
        )
        assert "Bern" in ran.stdout
        page.get_by_role("link", name="Look at the table").click()
        rows = page.get_by_role("region", name="Rows of the table").locator("tbody tr")
        assert [row.locator("td").first.inner_text() for row in rows.all()] == ["Zurich", "Bern"]
        answer = page.goto(link)
        assert answer is not None
        assert answer.status == 404


def test_a_code_is_worth_nothing_once_there_is_a_user(empty: tuple[str, Path]) -> None:
    """A wrong code shows no form; a user who came to be in another way ends the offer."""
    link, data_dir = empty
    address, _, code = link.partition("?code=")
    own_page = {"Sec-Fetch-Site": "same-origin"}
    assert plain_http.get(f"{address}?code=wrong").status_code == 404
    form = {"code": code, "user": "eve", "dataset": "Study", "table": "answers"}
    assert plain_http.post(address, data={**form, "code": "wrong"}, headers=own_page).status_code == 404
    assert plain_http.post(address, data={**form, "table": "?"}, headers=own_page).status_code == 400
    rowkeep("user", "create", "ada", data_dir=data_dir)
    refused = plain_http.post(address, data=form, headers=own_page)
    assert refused.status_code == 403
    assert "There is a user already." in refused.text
