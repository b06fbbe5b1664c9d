"""Makes the picture of the console: `picture.py FILE`. Run by scripts/picture.

A server is started over an empty folder, rows are inserted over the API, and Chromium opens the page of the
table.
"""

import math
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import httpx
from playwright.sync_api import sync_playwright

WIDTH, HEIGHT = 1200, 760
BYTES_MAX = 200_000
ROW_COUNT = 2_000
SITES = ("Bern", "Basel", "Davos", "Geneva", "Lugano", "Zurich")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]

_COMMAND = str(Path(sys.executable).parent / "rowkeep")
_listening = re.compile(r"rowkeep: listening on (\S+)/api/v1").match


def main(file: Path) -> None:
    """Writes the picture."""
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        run("user", "create", "demo", "--data-dir", str(data))
        token = run("token", "create", "--user", "demo", "--data-dir", str(data)).strip()
        serve = [_COMMAND, "serve", "--data-dir", str(data), "--port", "0"]
        with (Path(folder) / "log").open("wb") as log:
            server = subprocess.Popen(serve, stdout=subprocess.PIPE, stderr=log, text=True)
        try:
            url = address_of(server)
            table = fill(url, token)
            picture(url, token, table, file)
        finally:
            server.terminate()
            server.wait(timeout=60)
    byte_count = file.stat().st_size
    if byte_count > BYTES_MAX:
        raise SystemExit(f"{file} has {byte_count} bytes, more than {BYTES_MAX}.")


def run(*arguments: str) -> str:
    """Runs a command of rowkeep; returns what it prints."""
    return subprocess.run([_COMMAND, *arguments], check=True, capture_output=True, text=True).stdout


def address_of(server: "subprocess.Popen[str]") -> str:
    """Returns the address of a server that has begun to listen."""
    for line in server.stdout or ():
        if found := _listening(line):
            return found[1]
    raise SystemExit("The server did not start.")


def fill(url: str, token: str) -> str:
    """Makes a released data set that goes on collecting; returns the reference of its table."""
    with httpx.Client(
        base_url=f"{url}/api/v1", headers={"Authorization": f"Bearer {token}"}, trust_env=False
    ) as client:

        def post(path: str, body: dict[str, Any]) -> None:
            client.post(path, json=body).raise_for_status()

        post("/users/demo/datasets", {"name": "Weather", "description": "Six stations, every ten minutes"})
        post("/datasets/demo.weather/tables", {"name": "Measurements"})
        table = "/tables/demo.weather:next.measurements"
        schema = [{"name": "site", "type": "string"}, {"name": "measured_at", "type": "dateTime"}]
        post(f"{table}/uploads", {"name": "live", "type": "stream", "schema": schema})
        rows = {"rows": [row(number) for number in range(ROW_COUNT)], "updateSchema": True}
        post(f"{table}/uploads/live/rows", rows)
    return "demo.weather:next.measurements"


def row(number: int) -> dict[str, Any]:
    """A measurement."""
    minutes = number // len(SITES) * 10
    day, hour = 1 + minutes // 1440, minutes % 1440 / 60
    warmth = 14 + 6 * math.sin((hour - 9) / 24 * 2 * math.pi) + number % len(SITES)
    return {
        "site": SITES[number % len(SITES)],
        "measured_at": f"2026-06-{day:02}T{minutes % 1440 // 60:02}:{minutes % 60:02}:00",
        "temperature": round(warmth, 1),
        "humidity": round(95 - 2 * warmth),
        "wind": None if number % 17 == 5 else round(2 + abs(math.sin(number)) * 6, 1),
        "valid": number % 41 != 7,
    }


def picture(url: str, token: str, table: str, file: Path) -> None:
    """Signs in, opens the table, and keeps what the window shows."""
    program = shutil.which("chromium")
    if program is None:
        raise SystemExit("Install Chromium, then run this again.")
    file.parent.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=ARGUMENTS)
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme="light")
        page.goto(f"{url}/console/sign-in")
        page.get_by_label("API token").fill(token)
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url("**/console")
        where = "temperature >= 20 AND valid = TRUE"
        page.goto(f"{url}/console/tables/{table}?where={where}&orderBy=temperature DESC")
        page.screenshot(path=file)
        browser.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
