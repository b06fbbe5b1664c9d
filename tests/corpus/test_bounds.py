"""What a hostile or a huge file may take: memory is measured in a process of its own."""

import gzip
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

MEBIBYTE = 1024 * 1024

# Reads a file as a worker does; prints how much memory it took at most beyond what it began with.
_READER = """
import resource, sys
from pathlib import Path
from rowkeep.formats.files import open_file
from rowkeep.model.errors import RowkeepError
from rowkeep.model.files import FileOptions

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

before = peak()
try:
    table = open_file(Path(sys.argv[1]), FileOptions(file_name=sys.argv[2]), Path(sys.argv[3]))
    rows = sum(len(batch) for batch in table.batches())
    print(peak() - before, rows)
except RowkeepError as error:
    print(peak() - before, error.message)
"""


def read_apart(folder: Path, name: str) -> tuple[int, str]:
    """The memory that reading the file in a folder takes, and the count of its rows or the error."""
    scratch = folder / "scratch"
    scratch.mkdir()
    command = [sys.executable, "-c", _READER, str(folder / "file"), name, str(scratch)]
    output = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300).stdout
    memory, _, result = output.strip().partition(" ")
    return int(memory), result


def write(folder: Path, blocks: Iterator[bytes]) -> None:
    """Writes the file that is read."""
    with (folder / "file").open("wb") as file:
        file.writelines(blocks)


def test_memory_does_not_grow_with_a_file(tmp_path: Path) -> None:
    """A CSV file of 100 MiB takes far less memory than it is long."""
    block = b"".join(b"%d,%d.5,text %d,2024-01-02\n" % (number, number, number) for number in range(40_000))
    write(
        tmp_path, (b"a,b,c,d\n" if index == 0 else block for index in range(1 + 100 * MEBIBYTE // len(block)))
    )
    memory, rows = read_apart(tmp_path, "a.csv")
    assert int(rows) == 40_000 * (100 * MEBIBYTE // len(block))
    assert memory < 250 * MEBIBYTE


def refuse_a_long_cell(folder: Path, name: str, mebibytes: int) -> None:
    """Asserts that a file with such a cell is refused before it is held."""
    heads = {
        "a.csv": b"a,b\n1,",
        "a.ndjson": b'{"a":"',
        "a.json": b'[{"a":"',
        "a.geojson": b'{"features":[{"a":"',
    }
    write(folder, iter([heads[name], *[b"x" * MEBIBYTE] * mebibytes]))
    memory, message = read_apart(folder, name)
    assert "longer than" in message
    assert memory < 600 * MEBIBYTE


@pytest.mark.parametrize("name", ["a.csv", "a.ndjson", "a.json", "a.geojson"])
def test_a_long_cell(name: str, tmp_path: Path) -> None:
    """A cell that is longer than a record may be is refused before it is held."""
    refuse_a_long_cell(tmp_path, name, 80)


@pytest.mark.long
@pytest.mark.parametrize("name", ["a.csv", "a.ndjson", "a.json", "a.geojson"])
def test_a_gigabyte_in_a_cell(name: str, tmp_path: Path) -> None:
    """The same of a gigabyte (`scripts/test --long tests/corpus/test_bounds.py`)."""
    refuse_a_long_cell(tmp_path, name, 1024)


def test_a_bomb_of_text(tmp_path: Path) -> None:
    """A compressed file that inflates without end is refused when that is seen; its disk is bounded too."""
    data = gzip.compress(b"1,2\n" * (MEBIBYTE // 4))
    write(tmp_path, iter([gzip.compress(b"a,b\n"), *[data] * 400]))
    memory, message = read_apart(tmp_path, "a.csv.gz")
    assert "more than 500 times" in message
    assert memory < 100 * MEBIBYTE
    assert (tmp_path / "scratch" / "inflated").stat().st_size < 300 * MEBIBYTE


def test_a_million_columns(tmp_path: Path) -> None:
    """Columns beyond all measure are counted and refused."""
    write(tmp_path, iter([b"a," * 1_000_000, b"\n"]))
    memory, message = read_apart(tmp_path, "a.csv")
    assert "1000001 columns" in message
    assert memory < 300 * MEBIBYTE


@pytest.mark.long
def test_memory_of_a_large_file(tmp_path: Path) -> None:
    """Ten gigabytes take less than one of memory (`scripts/test --long tests/corpus/test_bounds.py`)."""
    block = b"".join(b"%d,%d.5,text %d,2024-01-02\n" % (number, number, number) for number in range(40_000))
    count = 10_000 * MEBIBYTE // len(block)
    write(tmp_path, (b"a,b,c,d\n" if index == 0 else block for index in range(1 + count)))
    memory, rows = read_apart(tmp_path, "a.csv")
    assert int(rows) == 40_000 * count
    assert memory < 900 * MEBIBYTE
