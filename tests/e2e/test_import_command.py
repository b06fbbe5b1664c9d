"""`rowkeep import`: files become a table, or nothing is left of them."""

import io
import itertools
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rowkeep.client import sending
from rowkeep.client.connection import Answer, Connection, NoAnswer
from tests.command_line import Done, run
from tests.server_process import ServerProcess

Ask = Callable[..., Done]
SURVEY = 'Person,age,joined,note\n01,34,2026-01-31,"likes tea"\n02,NA,2026-02-01,\n03,29,2026-02-03,ok\n'

_numbers = itertools.count(1)


@pytest.fixture
def ask(server: ServerProcess) -> Ask:
    """Runs a command as the server's user."""
    return lambda *arguments: run(*arguments, ROWKEEP_URL=server.url, ROWKEEP_TOKEN=server.token)


@pytest.fixture
def table() -> str:
    """A table that is not there yet, in a dataset that is not there yet."""
    return f"demo.imported_{next(_numbers)}.answers"


@pytest.fixture
def survey(tmp_path: Path) -> Path:
    """The file of a survey."""
    file = tmp_path / "survey.csv"
    file.write_text(SURVEY, encoding="utf-8")
    return file


def rows(ask: Ask, table: str) -> list[dict[str, object]]:
    """The rows of a table."""
    done = ask("head", table, "--format", "json")
    assert done.returncode == 0, done.stderr
    found: list[dict[str, object]] = json.loads(done.stdout)
    return found


def uploads(ask: Ask, table: str) -> dict[str, int]:
    """The uploads of a table with their number of rows."""
    listed = json.loads(ask("ls", table, "--format", "json").stdout)
    return {upload["upload"]: upload["rows"] for upload in listed}


def datasets(ask: Ask) -> str:
    """The datasets of the user."""
    return ask("ls").stdout


def test_a_file_becomes_a_table(ask: Ask, table: str, survey: Path) -> None:
    """Types and examples are shown, dataset and table made, the rows are there with their types."""
    done = ask("import", str(survey), table, "--null", "NA", "--yes")
    assert done.returncode == 0, done.stderr
    shown = {tuple(line.split()[:3]) for line in done.stdout.splitlines()}
    assert {
        ("Person", "string", "01,"),
        ("age", "integer", "34,"),
        ("joined", "date", "2026-01-31,"),
    } <= shown
    assert "3 rows of 1 file" in done.stdout
    assert rows(ask, table)[1] == {"Person": "02", "age": None, "joined": "2026-02-01", "note": None}


def test_a_dry_run_leaves_nothing(ask: Ask, table: str, survey: Path) -> None:
    """It shows what it found; no dataset, no table, no row is there afterwards."""
    before = datasets(ask)
    done = ask("import", str(survey), table, "--dry-run")
    assert (done.returncode, "joined" in done.stdout) == (0, True)
    assert datasets(ask) == before


@pytest.mark.parametrize(("answer", "kept"), [("y\n", 3), ("n\n", 0)], ids=["yes", "no"])
def test_it_asks(
    ask: Ask, table: str, survey: Path, monkeypatch: pytest.MonkeyPatch, answer: str, kept: int
) -> None:
    """On a terminal the person decides; a no takes all away again."""
    terminal = io.StringIO(answer)
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr("sys.stdin", terminal)
    assert ask("import", str(survey), table).returncode == 0
    is_there = table.rpartition(".")[0] in datasets(ask)
    assert (len(rows(ask, table)) if is_there else 0) == kept


def test_rows_that_do_not_fit(ask: Ask, table: str, survey: Path) -> None:
    """They are named by line, column, value and what was expected; nothing is kept, or all others are."""
    before = datasets(ask)
    asked = ("import", str(survey), table, "--yes", "--type", "age=integer")
    done = ask(*asked)
    assert done.returncode == 3
    assert ["3", "2", "age", "NA", "an", "integer"] in [line.split()[:6] for line in done.stderr.splitlines()]
    assert datasets(ask) == before
    done = ask(*asked, "--on-error", "quarantine")
    assert done.returncode == 4
    assert "1 row refused" in done.stdout
    assert [row["Person"] for row in rows(ask, table)] == ["01", "03"]


def test_a_file_is_not_loaded_twice_by_mistake(ask: Ask, table: str, survey: Path) -> None:
    """A name that is there stops the import, unless the person says what is meant."""
    asked = ("import", str(survey), table, "--yes")
    assert ask(*asked).returncode == 0
    refused = ask(*asked)
    assert refused.returncode == 1
    assert "--if-exists" in refused.stderr
    survey.write_text("Person,age\n09,50\n", encoding="utf-8")
    assert ask(*asked, "--if-exists", "replace").returncode == 0
    assert uploads(ask, table) == {"survey.csv": 1}
    assert ask(*asked, "--if-exists", "add").returncode == 0
    assert sorted(uploads(ask, table).values()) == [1, 1]


def test_a_file_that_was_released_is_not_loaded_again_by_mistake(ask: Ask, table: str, survey: Path) -> None:
    """Its rows are in every later version; only --if-exists add has them once more."""
    asked = ("import", str(survey), table, "--yes")
    assert ask(*asked).returncode == 0
    assert ask("release", table.rpartition(".")[0]).returncode == 0
    for more in ((), ("--if-exists", "replace")):
        refused = ask(*asked, *more)
        assert (refused.returncode, "survey.csv" in refused.stderr) == (1, True)
    assert len(rows(ask, table)) == 3
    assert ask(*asked, "--if-exists", "add").returncode == 0


def test_a_folder_and_a_pattern(ask: Ask, table: str, tmp_path: Path) -> None:
    """Files of several types go into one table, each as its upload; where one is bad, none does."""
    pq.write_table(pa.table({"id": [3], "v": [1.5]}), tmp_path / "w3.parquet")
    for name in ("w1.csv", "w2.csv"):
        (tmp_path / name).write_text("id,v\n1,2\n", encoding="utf-8")
    assert ask("import", str(tmp_path / "w*.csv"), table, "--yes").returncode == 0
    assert uploads(ask, table) == {"w1.csv": 1, "w2.csv": 1}
    assert ask("import", str(tmp_path), table, "--yes", "--if-exists", "replace").returncode == 0
    assert uploads(ask, table) == {"w1.csv": 1, "w2.csv": 1, "w3.parquet": 1}
    (tmp_path / "w4.parquet").write_text("no parquet", encoding="utf-8")
    done = ask("import", str(tmp_path), table, "--yes", "--if-exists", "add")
    assert done.returncode == 3
    assert "w4.parquet" in done.stderr
    assert len(uploads(ask, table)) == 3


@pytest.fixture
def breaking(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A network that loses the answer to every second piece; the list names the pieces."""
    real = Connection.ask
    pieces: list[str] = []

    def ask(self: Connection, method: str, path: str, *more: object, **given: object) -> Answer:
        answer = real(self, method, path, *more, **given)  # type: ignore[arg-type]
        if method == "PUT" and "tempUploads" in path:
            pieces.append(str(more[1]))
            if len(pieces) % 3 == 2:
                raise NoAnswer("the connection broke")
        return answer

    monkeypatch.setattr(sending, "PIECE_BYTES", 100_000)
    monkeypatch.setattr(Connection, "ask", ask)
    return pieces


def test_sending_goes_on_after_a_break(ask: Ask, table: str, tmp_path: Path, breaking: list[str]) -> None:
    """After a lost answer the server is asked how much it has; every row is there once."""
    file = tmp_path / "large.csv"
    file.write_text("n\n" + "".join(f"{number}\n" for number in range(100_000)), encoding="utf-8")
    assert ask("import", str(file), table, "--yes").returncode == 0
    assert any("*/" in piece for piece in breaking)
    sums = ask("query", f"SELECT count(*) AS n, sum(n) AS s FROM `{table}`", "--format", "json")
    assert json.loads(sums.stdout) == [{"n": 100_000, "s": sum(range(100_000))}]


def test_ctrl_c_takes_all_back(server: ServerProcess, ask: Ask, table: str, tmp_path: Path) -> None:
    """Whatever the moment, an interrupted import ends with 130 and leaves no dataset, table or upload."""
    file = tmp_path / "large.csv"
    file.write_text("a,b\n" + "1,2.5\n" * 1_000_000, encoding="utf-8")
    environment = {**os.environ, "ROWKEEP_URL": server.url, "ROWKEEP_TOKEN": server.token}
    command = [sys.executable, "-m", "rowkeep", "import", str(file), table, "--yes"]
    # Where tests run in the background of a shell, Ctrl-C is ignored by whatever they start.
    with subprocess.Popen(
        command,
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:
        assert process.stderr is not None
        while "made the table" not in process.stderr.readline():
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        said = process.stderr.read()
    assert (process.returncode, "nothing was kept" in said) == (130, True)
    assert table.rpartition(".")[0] not in datasets(ask)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("nothing.csv", "demo.a.b", "--yes"), "no file nothing.csv"),
        (("pyproject.toml", "demo.a.b"), "--yes"),
        (("pyproject.toml", "demo.a.b", "--yes", "--type", "age=whole"), "COLUMN=TYPE"),
        (("pyproject.toml", "demo.a.b", "--yes", "--type", "age=int"), "Did you mean age=integer?"),
        (("pyproject.toml", "demo.a", "--yes"), "OWNER.DATASET.TABLE"),
        (("pyproject.toml", "demo.a:v1.0.b", "--yes"), "next version"),
    ],
)
def test_wrong_use(ask: Ask, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], words: str) -> None:
    """One line, status 2, before anything is sent."""
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    done = ask("import", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert words in line
