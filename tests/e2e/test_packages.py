"""The wheels of rowkeep and rowkeep-client work outside the repository, with all that they need."""

import json
import re
import runpy
import subprocess
import sys
import venv
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.house.sources import ROOT
from tests.plain_http import request

BUILD = ROOT / "scripts" / "build_wheels.py"
CLIENT_BYTES_MAX = 20 * 1024 * 1024
CLIENT_COMMANDS = {"login", "insert", "import", "query", "export", "follow", "ls", "show", "head", "status"}
SERVER_COMMANDS = {"serve", "user", "token", "backup", "restore", "verify", "bench"}
_listening = re.compile(r"rowkeep: listening on (http://\S+)").match


def run(*command: object, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """A command with nothing in its environment but what is given, whatever becomes of it."""
    return subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={"PATH": "/usr/bin:/bin", "HOME": str(cwd), **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def said(*command: object, cwd: Path, **environment: str) -> str:
    """What a command printed that must succeed."""
    done = run(*command, cwd=cwd, **environment)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


# Imports everything where no library of the server is, and says which commands there are.
ALONE = """
import importlib, sys
from pathlib import Path

root, *absent = sys.argv[1:]
sys.modules.update(dict.fromkeys(absent))
for file in sorted(Path(root).rglob("*.py")):
    name = ".".join(file.relative_to(root).with_suffix("").parts)
    if not name.endswith("__main__"):
        assert importlib.import_module(name).__file__ == str(file), name
from rowkeep.cli import commands
print(*commands.list_commands(None))
sys.argv = ["rowkeep", "serve"]
importlib.import_module("rowkeep.cli").main()
"""


def test_the_thin_package_imports_nothing_of_the_server(tmp_path: Path) -> None:
    """Its files need each other alone; the server's commands are not listed, and say where they are."""
    runpy.run_path(str(BUILD))["stage_client"](tmp_path)
    root = str(tmp_path / "src")
    absent = ["apsw", "duckdb", "granian", "jinja2", "pyarrow", "shapely", "sqlglot", "starlette", "uvloop"]
    done = run(sys.executable, "-c", ALONE, root, *absent, cwd=tmp_path, PYTHONPATH=root)
    assert (done.returncode, "This is rowkeep-client" in done.stderr) == (2, True), done.stderr
    listed = set(done.stdout.split())
    assert listed >= CLIENT_COMMANDS
    assert not SERVER_COMMANDS & listed


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Both wheels by the name of their package."""
    folder = tmp_path_factory.mktemp("wheels")
    said(sys.executable, BUILD, folder, cwd=folder)
    return {file.name.partition("-")[0]: file for file in folder.glob("*.whl")}


def environment_with(folder: Path, *arguments: object) -> Path:
    """A new virtual environment in which pip has installed something. Returns its folder of programs."""
    venv.create(folder, with_pip=True)
    pip = [folder / "bin" / "python", "-m", "pip", "--quiet", "--disable-pip-version-check"]
    done = subprocess.run([*map(str, pip), "install", *map(str, arguments)], check=False, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    return folder / "bin"


@pytest.fixture(scope="module")
def server(wheels: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """A server from the wheel, in an environment of the locked libraries. Yields its address and a token."""
    folder = tmp_path_factory.mktemp("server")
    lock = ROOT / "requirements" / "runtime.txt"
    programs = environment_with(folder / "venv", "--require-hashes", "--requirement", lock)
    said(programs / "python", "-m", "pip", "install", "--no-deps", wheels["rowkeep"], cwd=folder)
    assert "No broken requirements" in said(programs / "python", "-m", "pip", "check", cwd=folder)
    data = {"ROWKEEP_DATA_DIR": str(folder / "data"), "ROWKEEP_PORT": "0"}
    said(programs / "rowkeep", "user", "create", "ada", cwd=folder, **data)
    token = said(programs / "rowkeep", "token", "create", "--user", "ada", cwd=folder, **data)
    process = subprocess.Popen(
        [programs / "rowkeep", "serve"],
        cwd=folder,
        env={"PATH": "/usr/bin:/bin", **data},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    found = _listening(process.stdout.readline())
    assert found is not None
    yield found[1], token
    process.terminate()
    assert process.wait(timeout=60) == 0
    process.stdout.close()
    assert "everything is whole" in said(programs / "rowkeep", "verify", cwd=folder, **data)


@pytest.mark.long
def test_the_packages_work_together(wheels: dict[str, Path], server: tuple[str, str], tmp_path: Path) -> None:
    """The thin client signs in, inserts, imports, queries and exports; the server has its pages and SQL."""
    url, token = server
    programs = environment_with(tmp_path / "venv", wheels["rowkeep_client"])
    site = next((tmp_path / "venv" / "lib").glob("python*/site-packages"))
    installer = {file for name in ("pip", "setuptools") for file in site.glob(f"{name}*/**/*")}
    taken = sum(file.stat().st_size for file in site.rglob("*") if file.is_file() and file not in installer)
    assert taken < CLIENT_BYTES_MAX
    environment = {"ROWKEEP_CREDENTIALS": str(tmp_path / "credentials.json"), "ROWKEEP_URL": url}

    def rowkeep(*arguments: object) -> str:
        return said(programs / "rowkeep", *arguments, cwd=tmp_path, **environment)

    (tmp_path / "token").write_text(token)
    login = f"{programs / 'rowkeep'} login {url} --token-stdin < token"
    said("sh", "-c", login, cwd=tmp_path, **environment)
    assert "ada" in rowkeep("status")
    (tmp_path / "rows.csv").write_text("site,count\nZurich,3\nBern,4\n")
    rowkeep("import", "rows.csv", "ada.survey.answers", "--yes")
    rowkeep("create", "ada.survey.more", "live", "--variable", "site=string", "--variable", "count=integer")
    (tmp_path / "rows.ndjson").write_text('{"site": "Chur", "count": 5}\n')
    rowkeep("insert", "ada.survey.more", "live", "rows.ndjson")
    sql = "SELECT sum(count) AS total FROM `ada.survey:next.answers`"
    assert json.loads(rowkeep("query", sql, "--format", "json")) == [{"total": 7}]
    rowkeep("export", "ada.survey:next.more", "out.csv")
    assert '"Chur",5' in (tmp_path / "out.csv").read_text()
    streamed = "from rowkeep.client import RowStream; print(RowStream.__name__)"
    assert said(programs / "python", "-c", streamed, cwd=tmp_path) == "RowStream"
    origin = url.removesuffix("/api/v1")
    page = request("GET", f"{origin}/console", follow_redirects=True)
    assert (page.status_code, "<html" in page.text) == (200, True)
    assets = re.findall(r'(?:href|src)="(/[^"]+\.(?:css|js|svg))"', page.text)
    assert assets
    assert [path for path in assets if request("GET", f"{origin}{path}").status_code != 200] == []
    assert request("GET", f"{url}/openAPI.json").status_code == 200
