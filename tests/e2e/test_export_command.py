"""`rowkeep export`: a table as a file of the format that its name tells."""

import gzip
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.api.publishing import Publication
from tests.command_line import Done, run
from tests.server_process import ServerProcess

Export = Callable[..., Done]
ROWS = [{"site": "a", "count": 1}, {"site": None, "count": 2}]


@pytest.fixture(scope="module")
def table(server: ServerProcess) -> str:
    """A table of two rows."""
    made = Publication(server)
    made.add_table("readings")
    made.add_upload("readings", "live", ROWS)
    made.close()
    return f"{made.reference}.readings"


@pytest.fixture
def export(server: ServerProcess, table: str) -> Export:
    """Runs the command on the table."""
    return lambda *more: run("export", table, *more, ROWKEEP_URL=server.url, ROWKEEP_TOKEN=server.token)


def test_the_name_tells_the_format(export: Export, tmp_path: Path) -> None:
    """Parquet and compressed CSV hold the rows; nothing else is left in the folder."""
    done = export(str(tmp_path / "readings.parquet"))
    assert done.returncode == 0, done.stderr
    assert "2 rows" in done.stdout
    assert pq.read_table(tmp_path / "readings.parquet").to_pylist() == ROWS
    assert (
        export(str(tmp_path / "readings.csv.gz"), "--null", "NA", "--columns", "count,site").returncode == 0
    )
    text = gzip.decompress((tmp_path / "readings.csv.gz").read_bytes()).decode()
    assert text.split() == ['"count","site"', '1,"a"', "2,NA"]
    assert sorted(file.name for file in tmp_path.iterdir()) == ["readings.csv.gz", "readings.parquet"]


def test_refusals(export: Export, tmp_path: Path) -> None:
    """A file that is there is kept, and an unknown format is told before anything is asked."""
    kept = tmp_path / "kept.csv"
    kept.write_text("mine")
    for done, status, words in (
        (export(str(kept)), 2, "--force"),
        (export(str(tmp_path / "readings.docx")), 2, "--file-format"),
        (export(str(tmp_path / "a.csv"), "--columns", "nothing"), 5, "nothing"),
    ):
        assert (done.returncode, done.stdout) == (status, "")
        (line,) = done.stderr.splitlines()
        assert words in line
    assert kept.read_text() == "mine"
    assert export(str(kept), "--force").returncode == 0
    assert "site" in kept.read_text()
