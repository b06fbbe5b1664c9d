"""Files that come in: the door of the room of readers."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rowkeep.formats.files import FileTable, open_file
from rowkeep.model.errors import RowkeepError
from rowkeep.model.files import FileOptions, RecordsRefused
from rowkeep.model.types import VariableType


def opened(folder: Path, name: str, content: bytes, **options: object) -> FileTable:
    """The table of a file with this content."""
    path, scratch = folder / "file", folder / "scratch"
    path.write_bytes(content)
    scratch.mkdir()
    return open_file(path, FileOptions(file_name=name, **options), scratch)  # type: ignore[arg-type]


def rows_of(table: FileTable) -> list[tuple[object, ...]]:
    """All rows of a table."""
    return [tuple(row.values()) for batch in table.batches() for row in batch.to_pylist()]


def test_a_csv_file_becomes_a_table(tmp_path: Path) -> None:
    """Types are found, names repaired with the original as label, and batches may be read again."""
    table = opened(tmp_path, "a.csv", b'id,The day,note\n1,2024-01-02,\n2,,""\n')
    assert [(v.name, v.type.value, v.label) for v in table.variables] == [
        ("id", "integer", None),
        ("The_day", "date", "The day"),
        ("note", "string", None),
    ]
    assert [row[2] for row in rows_of(table)] == [None, ""]
    assert rows_of(table) == rows_of(table)


def test_a_value_in_the_last_line_counts_like_the_first(tmp_path: Path) -> None:
    """One code with a leading zero at the end makes the column text, byte for byte from the first line on."""
    content = b"code\n" + b"1.50\n" * 200_000 + b"007\n"
    table = opened(tmp_path, "a.csv", content)
    assert table.variables[0].type is VariableType.STRING
    assert {row[0] for row in rows_of(table)} == {"1.50", "007"}


def test_bad_records_name_their_place(tmp_path: Path) -> None:
    """A record with too many or too few fields is told by its line and its row."""
    with pytest.raises(RecordsRefused) as refused:
        opened(tmp_path, "a.csv", b"a,b\n1,2\n1,2,3\n4\n")
    assert [(bad.line, bad.row) for bad in refused.value.bad_records] == [(3, 2), (4, 3)]


def test_a_type_that_is_given_is_checked(tmp_path: Path) -> None:
    """A value that the given type does not take is bad; where that is skipped, its row is left out."""
    content = b"a,b\n007,x\nNA,y\n8,z\n"
    table = opened(tmp_path, "a.csv", content, types={"A": VariableType.INTEGER}, skip_bad_records=True)
    assert rows_of(table) == [(7, "x"), (8, "z")]
    [bad] = table.bad_records.all()
    assert (bad.line, bad.column, bad.value, bad.text) == (3, "a", "NA", "NA,y")


def test_a_parquet_file_becomes_a_table(tmp_path: Path) -> None:
    """A Parquet file keeps its types where rowkeep has them."""
    table = pa.table({"a": pa.array([1, None], pa.uint64()), "b": pa.array(["x", "y"]).dictionary_encode()})
    pq.write_table(table, tmp_path / "source")
    read = opened(tmp_path, "a.parquet", (tmp_path / "source").read_bytes())
    assert [variable.type.value for variable in read.variables] == ["integer", "string"]
    assert rows_of(read) == [(1, "x"), (None, "y")]


def test_a_name_that_lies_is_told(tmp_path: Path) -> None:
    """A Parquet file that is called csv is refused by what it is."""
    pq.write_table(pa.table({"a": [1]}), tmp_path / "source")
    with pytest.raises(RowkeepError, match="it is a Parquet file"):
        opened(tmp_path, "a.csv", (tmp_path / "source").read_bytes())
