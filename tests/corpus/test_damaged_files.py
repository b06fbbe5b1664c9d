"""Files of the corpus with bytes changed and cut off: each is a table or an error that is meant."""

import random
import shutil
from pathlib import Path

import pytest

from rowkeep.formats.files import open_file
from rowkeep.model.errors import RowkeepError
from rowkeep.model.files import FileOptions
from tests.corpus.all_cases import CASES

COUNT = 150
COUNT_LONG = 10_000
_BYTES_MAX = 100_000
# pyarrow ends the process over a decimal of impossible precision; that is what the jail of a worker is for.
_ENDS_THE_PROCESS = ("orc-decimal", "parquet-decimal")
_TELLING_BYTES = b'\x00\xff",\n\r{}[]<>\\'


def damaged(content: bytes, chance: random.Random) -> bytes:
    """The content, cut off or with some bytes changed."""
    if chance.random() < 0.3:
        return content[: chance.randrange(len(content))]
    changed = bytearray(content)
    for _ in range(chance.choice([1, 2, 5, 20])):
        changed[chance.randrange(len(changed))] = chance.choice([*_TELLING_BYTES, chance.randrange(256)])
    return bytes(changed)


def read_damaged(folder: Path, count: int, seed: int) -> None:
    """Reads so many damaged files. Whatever is raised but a RowkeepError is a defect."""
    chance = random.Random(seed)
    # What is large is made when it is asked for, and takes long to make.
    cases = [case for case in CASES if isinstance(case.content, bytes) and 0 < len(case.content) < _BYTES_MAX]
    made = [
        case
        for case in CASES
        if not isinstance(case.content, bytes)
        and "bomb" not in case.name
        and not case.name.startswith(_ENDS_THE_PROCESS)
    ]
    cases += chance.sample(made, min(len(made), count))
    path, scratch = folder / "file", folder / "scratch"
    for _ in range(count):
        case = chance.choice(cases)
        path.write_bytes(damaged(case.bytes(), chance))
        scratch.mkdir()
        skip = {**case.options, "skip_bad_records": chance.random() < 0.5}
        try:
            table = open_file(path, FileOptions(file_name=case.file_name, **skip), scratch)
            for batch in table.batches():
                batch.validate(full=True)
            assert table.bad_records.count == len(list(table.bad_records.all()))
        except RowkeepError as error:
            assert error.message
        finally:
            shutil.rmtree(scratch)


def test_damaged_files(tmp_path: Path) -> None:
    """No damage makes a reader fail with anything but an error for its sender."""
    read_damaged(tmp_path, COUNT, seed=19)


@pytest.mark.long
def test_many_damaged_files(tmp_path: Path) -> None:
    """The same of many (`scripts/test --long tests/corpus/test_damaged_files.py`)."""
    read_damaged(tmp_path, COUNT_LONG, seed=20)
