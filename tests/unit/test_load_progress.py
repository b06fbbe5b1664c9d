"""How far a load says that it is: never back, never ahead by much, whatever the file is like."""

import gzip
import itertools
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rowkeep.model.files import FileOptions
from rowkeep.model.loads import LoadArguments
from rowkeep.model.quarantine import QuarantineBounds
from rowkeep.storage.local_files import Disk
from rowkeep.workers.load import WRITTEN, LoadJob, load_file

COUNT = 400_000


def csv() -> bytes:
    """Many short rows, which a fixed share of the text would be wrong for."""
    return b"a,b\n" + b"".join(b"%d,%d\n" % (number, number % 7) for number in range(COUNT))


def parquet(folder: Path) -> bytes:
    """The same, very small for its rows."""
    path = folder / "made.parquet"
    pq.write_table(pa.table({"a": [1] * COUNT, "b": [2] * COUNT}), path)
    return path.read_bytes()


@pytest.mark.parametrize("name", ["rows.csv", "rows.csv.gz", "late.csv", "rows.parquet"])
def test_progress_is_about_even(name: str, tmp_path: Path) -> None:
    """It grows in many steps of which none is large, and comes to its end with the last rows."""
    content = parquet(tmp_path) if name.endswith("parquet") else csv()
    if name == "late.csv":  # the last line makes a column text, and the file is read again
        content = content[:-2] + b"x\n"
    path = tmp_path / "content"
    path.write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    arguments = LoadArguments("0" * 32, path.stat().st_size, FileOptions(file_name=name))
    told: list[float] = []
    job = LoadJob(1, str(path), arguments, QuarantineBounds(10, 1000))
    folder = tmp_path / "work"
    folder.mkdir()
    answer = load_file(job, folder, Disk(), told.append)
    assert answer.loaded is not None
    assert answer.loaded.row_count == COUNT
    assert told == sorted(told)
    assert told[-1] == pytest.approx(WRITTEN)
    assert max(later - earlier for earlier, later in itertools.pairwise(told)) < 0.45
