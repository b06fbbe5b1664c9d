"""What the tests of the console share: one browser, one page whose reader is signed in, one hostile table."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page

from tests.e2e.browser import chromium
from tests.e2e.console.world import ATTRIBUTE, SCRIPT, hostile_rows, open_page, publish, sign_in
from tests.server_process import ServerProcess


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """A browser without a window."""
    with chromium() as started:
        yield started


@pytest.fixture(scope="package")
def table(server: ServerProcess) -> str:
    """The reference of a table full of HTML."""
    return publish(server, f"Study {SCRIPT}"[:128], f"Answers {ATTRIBUTE}", hostile_rows())


@pytest.fixture(scope="package")
def page(browser: Browser, server: ServerProcess) -> Iterator[Page]:
    """A page whose reader is signed in."""
    with open_page(browser) as opened:
        sign_in(opened, server)
        yield opened
