"""The console in a real browser: signing in, and each page's job on real data."""

import csv
import itertools
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser, Page, Request

from tests import plain_http
from tests.e2e.console.world import (
    ATTRIBUTE,
    HOSTILE_UPLOADS,
    ROW_COUNT,
    SCRIPT,
    open_page,
    origin_of,
    publish,
    sign_in,
)
from tests.server_process import ServerProcess

PHONE = {"width": 375, "height": 700}
# What is behind the text of a page in each colour scheme.
GROUNDS: dict[Literal["light", "dark"], str] = {"light": "rgb(255, 255, 255)", "dark": "rgb(18, 24, 22)"}
_numbers = itertools.count(1)


def addresses(server: ServerProcess, table: str) -> list[str]:
    """Every page about a table."""
    console = f"{origin_of(server)}/console"
    dataset = ".".join(table.split(".")[:2])
    uploads = [f"/uploads{path}" for path in ("", *HOSTILE_UPLOADS)]
    paths = [f"/tables/{table}{tab}" for tab in ("", "/variables", "/use", *uploads)]
    sql = f"{console}/sql?dataset={dataset}"
    others = (
        sql,
        f"{console}/server",
        f"{console}/audit",
        f"{console}/datasets/{dataset}/audit",
        f"{origin_of(server)}/docs/api",
    )
    return [console, *others, *(f"{console}{path}" for path in (f"/datasets/{dataset}", *paths))]


def test_the_way_from_signing_in_to_a_row(browser: Browser, server: ServerProcess, table: str) -> None:
    """A person opens the server's address, pastes a token, and clicks through to the rows and out again."""
    with open_page(browser) as page:
        sign_in(page, server)
        page.get_by_role("link", name="Study").first.click()
        page.get_by_role("heading", level=1).wait_for()
        page.get_by_role("link", name="Answers").click()
        rows = page.get_by_role("region", name="Rows of the table").locator("tbody tr")
        assert rows.count() == 50
        page.get_by_role("link", name="Next").click()
        page.wait_for_url("**row=50**")
        assert rows.first.locator("th").inner_text() == "51"
        assert rows.first.locator("td").first.inner_text() == "50"
        page.get_by_role("button", name="Sign out").click()
        page.wait_for_url("**/sign-in")
        page.goto(f"{origin_of(server)}/console")
        assert page.get_by_label("API token").count() == 1


def test_a_wrong_token_is_refused_in_words(browser: Browser, server: ServerProcess) -> None:
    """Whatever is wrong with a token, the same sentence says what to do next."""
    with open_page(browser) as page:
        said = set()
        for token in ("wrong", "😀", server.token[:-1]):
            page.goto(f"{origin_of(server)}/console/sign-in")
            page.get_by_label("API token").fill(token)
            page.get_by_role("button", name="Sign in").click()
            said.add(page.get_by_role("alert").inner_text())
        assert said == {
            "This token does not let you in. Check that you pasted all of it, or ask for a new one."
        }


def test_the_page_asked_for_comes_after_signing_in(
    browser: Browser, server: ServerProcess, table: str
) -> None:
    """A link into the console leads there, by way of signing in."""
    with open_page(browser) as page:
        page.goto(f"{origin_of(server)}/console/tables/{table}?row=100")
        page.get_by_label("API token").fill(server.token)
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url("**row=100")
        assert page.get_by_role("region", name="Rows of the table").locator("tbody tr").count() == 22


def test_nothing_runs_and_nothing_leaves(page: Page, server: ServerProcess, table: str) -> None:
    """HTML in every name, description and cell is text; no page loads anything from elsewhere."""
    asked: list[str] = []

    def note(request: Request) -> None:
        asked.append(request.url)

    page.on("request", note)
    for address in addresses(server, table):
        answer = page.goto(address)
        assert answer is not None
        assert answer.status == 200, address
        assert page.evaluate("window.ran") is None
        assert page.locator("script, svg, img[src=x], [onload], [onerror]").count() == 0
    page.remove_listener("request", note)
    assert all(url.startswith(f"{origin_of(server)}/") for url in asked)
    page.goto(f"{origin_of(server)}/console/tables/{table}")
    assert page.get_by_text(SCRIPT).count() >= 1
    assert page.get_by_text(ATTRIBUTE).count() >= 1


@pytest.mark.parametrize("size", [PHONE, {"width": 1600, "height": 900}], ids=["phone", "wide"])
def test_pages_fit_every_screen(
    page: Page, server: ServerProcess, table: str, size: dict[str, int], tmp_path: Path
) -> None:
    """No page is wider than the screen or blank, in either colour scheme."""
    browser, state = page.context.browser, page.context.storage_state()
    assert browser is not None
    with open_page(browser, viewport=size, storage_state=state) as opened:
        for number, address in enumerate(addresses(server, table)):
            opened.goto(address)
            for scheme, ground in GROUNDS.items():
                opened.emulate_media(color_scheme=scheme)
                assert opened.evaluate("document.documentElement.scrollWidth") <= size["width"]
                assert len(opened.screenshot(path=tmp_path / f"{number}-{scheme}.png")) > 5_000
                assert opened.evaluate("getComputedStyle(document.body).backgroundColor") == ground


def test_the_csv_of_a_table(page: Page, server: ServerProcess, table: str, tmp_path: Path) -> None:
    """The download holds every row."""
    page.goto(f"{origin_of(server)}/console/tables/{table}")
    with page.expect_download() as started:
        page.get_by_text("Download", exact=True).click()
        page.get_by_role("link", name="Download as CSV").click()
    file = tmp_path / "rows.csv"
    started.value.save_as(file)
    assert started.value.suggested_filename.endswith(".csv")
    with file.open(encoding="utf-8-sig", newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert len(rows) == ROW_COUNT + 2  # two of another stream
    assert rows[7]["text"] == SCRIPT


def test_rows_are_filtered_and_sorted(page: Page, server: ServerProcess, table: str, tmp_path: Path) -> None:
    """A person says which rows, and in what order; pages and the CSV file hold those."""
    page.goto(f"{origin_of(server)}/console/tables/{table}")
    page.get_by_text("Filter and sort").click()
    page.get_by_label("Only rows where").fill("number >= 10 AND number < 70")
    page.get_by_label("Sorted by").fill("number DESC")
    page.get_by_role("button", name="Show").click()
    rows = page.get_by_role("region", name="Rows of the table").locator("tbody tr")
    assert (rows.count(), rows.first.locator("td").first.inner_text()) == (50, "69")
    page.get_by_role("link", name="Next").click()
    page.wait_for_url("**row=50**")
    assert (rows.count(), rows.last.locator("td").first.inner_text()) == (10, "10")
    assert page.get_by_role("link", name="Next").count() == 0
    page.get_by_text("Download", exact=True).click()
    assert f"{server.url}/tables/" in page.locator("code.address").inner_text()
    with page.expect_download() as started:
        page.get_by_role("link", name="Download these rows as CSV").click()
    started.value.save_as(tmp_path / "rows.csv")
    with (tmp_path / "rows.csv").open(encoding="utf-8-sig", newline="") as lines:
        assert [row["number"] for row in csv.DictReader(lines)] == [
            str(number) for number in range(69, 9, -1)
        ]


def test_a_wrong_filter_is_told(page: Page, server: ServerProcess, table: str) -> None:
    """What is wrong with a filter stands above the form, which keeps it; nothing of it runs."""
    where = "numbr > 1 OR text = '<script>window.ran = 1</script>'"
    page.goto(f"{origin_of(server)}/console/tables/{table}?where={where}")
    assert "numbr" in page.get_by_role("alert").inner_text()
    assert page.get_by_label("Only rows where").input_value().startswith("numbr > 1")
    assert page.evaluate("window.ran") is None


@pytest.mark.parametrize(("link", "start"), [("Excel", b"PK"), ("Parquet", b"PAR1")])
def test_the_files_of_a_table(
    page: Page, server: ServerProcess, table: str, tmp_path: Path, link: str, start: bytes
) -> None:
    """Each link leads to a file of its format."""
    page.goto(f"{origin_of(server)}/console/tables/{table}")
    page.get_by_text("Download", exact=True).click()
    with page.expect_download() as started:
        page.get_by_role("link", name=link).click()
    started.value.save_as(tmp_path / "rows")
    assert (tmp_path / "rows").read_bytes().startswith(start)


def test_a_release_goes_on_collecting(page: Page, server: ServerProcess) -> None:
    """An editor releases the next version with notes; it is frozen, and the next one is open at once."""
    table = publish(server, f"Released {next(_numbers)}", "Answers", [{"number": 1}])
    page.goto(f"{origin_of(server)}/console/datasets/{'.'.join(table.split('.')[:2])}")
    page.get_by_label("What is new").fill("The first wave")
    page.get_by_role("button", name="Release").click()
    page.wait_for_url("**:v1_0")
    versions = page.get_by_role("region", name="Versions").locator("tbody tr")
    assert [row.locator("th").inner_text() for row in versions.all()] == ["next", "v1.0"]
    assert "The first wave" in versions.last.inner_text()
    assert page.get_by_role("button", name="Release").count() == 0


def test_a_query_and_its_rows(page: Page, server: ServerProcess, table: str) -> None:
    """A person writes SQL, sees the rows, and finds the query again at its address and in the list."""
    page.goto(f"{origin_of(server)}/console/sql")
    page.get_by_label("Query", exact=True).fill(
        f"SELECT number, text FROM `{table}` WHERE number > 117 ORDER BY 1"
    )
    page.get_by_role("button", name="Run").click()
    page.wait_for_url("**/console/sql/*")
    rows = page.get_by_role("region", name="Rows of the result").locator("tbody tr")
    assert [row.locator("td").all_inner_texts() for row in rows.all()] == [["118", SCRIPT], ["119", SCRIPT]]
    assert page.evaluate("window.ran") is None
    page.reload()
    assert rows.count() == 2
    page.get_by_role("link", name="SQL").click()
    assert page.locator(".recent li").first.inner_text().startswith("SELECT number, text")


def test_a_query_says_where_it_is_wrong(page: Page, server: ServerProcess, table: str) -> None:
    """What is wrong in a query is told with its line and column, and the text stays in the editor."""
    text = f"SELECT number,\n nothing_such FROM `{table}`"
    page.goto(f"{origin_of(server)}/console/sql")
    page.get_by_label("Query", exact=True).fill(text)
    page.get_by_role("button", name="Run").click()
    page.wait_for_url("**/console/sql/*")
    assert page.get_by_role("alert").inner_text().startswith("Line 2, column 2: ")
    assert page.get_by_label("Query", exact=True).input_value() == text


def test_the_keyboard_reaches_everything(page: Page, server: ServerProcess, table: str) -> None:
    """The first stop of the Tab key leads past the header; every control is reached after it."""
    page.goto(f"{origin_of(server)}/console/tables/{table}")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    reached = set()
    for _ in range(20):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.textContent.trim().slice(0, 20)"))
    assert {"Sign out", "Variables", "Next", "Filter and sort", "Download"} <= reached


def test_what_is_not_there(page: Page, server: ServerProcess) -> None:
    """A page that does not exist says so, and leads on."""
    for path in ("/nothing", "/datasets/demo.nothing_of_this_name", "/tables/demo.nothing.nowhere"):
        answer = page.goto(f"{origin_of(server)}/console{path}")
        assert answer is not None
        assert answer.status == 404
        assert page.get_by_role("alert").inner_text()
        assert page.get_by_role("link", name="Go to Home").count() == 1


def test_the_audit_log(page: Page, server: ServerProcess) -> None:
    """What somebody did stands in the log of the data set and of its owner, with who and to what."""
    table = publish(server, f"Audited {next(_numbers)}", "Answers", [{"number": 1}])
    dataset = ".".join(table.split(".")[:2])
    page.goto(f"{origin_of(server)}/console/datasets/{dataset}")
    page.get_by_label("The public may").select_option("overview")
    page.get_by_role("button", name="Change it").click()
    page.wait_for_url("**#access")
    page.get_by_role("link", name="Who did what to this data set").click()
    entries = page.get_by_role("region", name="Audit log").locator("tbody tr")
    assert [entry.locator("code").inner_text() for entry in entries.all()] == [
        "access.public",
        "dataset.create",
    ]
    assert server.user in entries.first.inner_text()
    assert "publicAccessLevel: overview" in entries.first.inner_text()
    page.get_by_role("link", name="Audit log").click()
    assert "audited" in entries.first.inner_text()
    page.get_by_label("Organization").fill("no_such_organization")
    page.get_by_role("button", name="Show").click()
    assert "no_such_organization" in page.get_by_role("alert").inner_text()


def test_the_api_as_a_page(browser: Browser, server: ServerProcess) -> None:
    """Whoever opens it reads every operation and shape of the document, and each link leads somewhere."""
    document = plain_http.get(f"{server.url}/openAPI.json").json()
    operations = [f"{method.upper()} {path}" for path, each in document["paths"].items() for method in each]
    with open_page(browser) as page:
        page.goto(f"{origin_of(server)}/docs/api")
        shown = page.locator(".operation h3 code").all_inner_texts()
        assert sorted(shown) == sorted(operations)
        assert page.locator("section[id^=shape-]").count() == len(document["components"]["schemas"])
        broken = "[...document.links].filter(l => l.hash && !document.getElementById(l.hash.slice(1))).length"
        assert page.evaluate(broken) == 0


def test_the_server_for_its_operators(page: Page, server: ServerProcess, table: str) -> None:
    """Whoever looks after the server sees whether it takes rows, what is left of the disk, and who waits."""
    del table  # rows have been inserted
    page.goto(f"{origin_of(server)}/console")
    page.get_by_role("link", name="Server").click()
    assert page.get_by_role("status").inner_text() == "Ready: the journal takes rows."
    facts = page.locator("dl.facts div")
    shown = {each.locator("dt").inner_text(): each.locator("dd").inner_text() for each in facts.all()}
    assert int(shown["Rows committed"].replace(",", "")) >= ROW_COUNT
    assert shown["Left"].endswith(("GB", "TB", "MB"))
    phases = page.get_by_role("region", name="Time of inserts by phase").locator("tbody tr")
    assert "at most" in phases.first.inner_text()
    assert page.get_by_role("region", name="Answers by status").get_by_text("201").count() == 1
