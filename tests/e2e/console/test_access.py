"""Access in the console: an owner gives it, changes it and takes it back; others see that they may not."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page

from tests.api.caller import Caller
from tests.command_line import rowkeep
from tests.e2e.console.world import open_page, origin_of, publish, sign_in_with
from tests.server_process import ServerProcess


@pytest.fixture(scope="module")
def colleague(server: ServerProcess) -> str:
    """A token of another user, `colleague`."""
    rowkeep("user", "create", "colleague", data_dir=server.data_dir)
    return rowkeep("token", "create", "--user", "colleague", data_dir=server.data_dir).strip()


@pytest.fixture(scope="module")
def dataset(server: ServerProcess, colleague: str) -> str:
    """The reference of a data set that nobody was given yet."""
    del colleague
    return ".".join(publish(server, "Shared", "Answers", [{"number": 1}]).split(".")[:2])


@pytest.fixture
def colleagues_page(browser: Browser, server: ServerProcess, colleague: str) -> Iterator[Page]:
    """A page whose reader is the colleague."""
    with open_page(browser) as opened:
        sign_in_with(opened, server, colleague)
        yield opened


def test_access_is_given_changed_and_taken_back(
    page: Page, colleagues_page: Page, server: ServerProcess, dataset: str
) -> None:
    """What the owner clicks is what the colleague can open, at once."""
    address = f"{origin_of(server)}/console/datasets/{dataset}"

    def opens() -> int:
        answer = colleagues_page.goto(address)
        assert answer is not None
        return answer.status

    assert opens() == 404
    page.goto(address)
    page.get_by_label("User or organization").fill("colleague")
    page.get_by_label("May", exact=True).select_option("edit")
    page.get_by_role("button", name="Give access").click()
    page.wait_for_url("**#access")
    assert opens() == 200
    assert colleagues_page.get_by_text("Its owner, or an administrator of it, can change").count() == 1
    assert colleagues_page.get_by_role("button", name="Give access").count() == 0
    page.get_by_label("What colleague may do", exact=True).select_option("overview")
    page.get_by_role("button", name="Change what colleague may do").click()
    page.wait_for_load_state()
    assert opens() == 404  # nothing is released
    page.get_by_role("button", name="Take access back from colleague").click()
    page.wait_for_load_state()
    assert page.get_by_text("Nobody else was given access.").count() == 1


def test_access_for_somebody_unknown(page: Page, server: ServerProcess, dataset: str) -> None:
    """A name that nobody has is told, and leads back."""
    page.goto(f"{origin_of(server)}/console/datasets/{dataset}")
    page.get_by_label("User or organization").fill("nobody_of_this_name")
    page.get_by_role("button", name="Give access").click()
    assert "nobody_of_this_name" in page.get_by_role("alert").inner_text()


def test_the_public_is_let_in(page: Page, server: ServerProcess, dataset: str) -> None:
    """The owner says what everybody may see in released versions."""
    page.goto(f"{origin_of(server)}/console/datasets/{dataset}")
    page.get_by_label("The public may").select_option("data")
    page.get_by_role("button", name="Change it").click()
    page.wait_for_url("**#access")
    caller = Caller(server.url)
    answer = caller.done(server.token, "GET", f"/api/v1/datasets/{dataset}")
    caller.close()
    assert answer["publicAccessLevel"] == "data"


def test_from_nothing_to_a_table(page: Page, server: ServerProcess) -> None:
    """A person creates a data set and a table, and is where rows come from."""
    page.goto(f"{origin_of(server)}/console")
    page.get_by_text("Create a data set").click()
    page.get_by_label("Name of the data set").fill("Made by hand")
    page.get_by_role("button", name="Create the data set").click()
    page.wait_for_url("**/datasets/**")
    page.get_by_label("Name of the table").fill("Answers")
    page.get_by_role("button", name="Create the table").click()
    page.wait_for_url("**/uploads")
    assert page.get_by_label("File", exact=True).count() == 1
