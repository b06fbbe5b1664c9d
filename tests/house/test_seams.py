"""Where a second database and a second place for files go in: nothing else knows which ones there are."""

import re

from tests.house.sources import PACKAGE, imports_of, module_of, python_files, tree_of

# Words of one database. `formats.files.detection` tells users what kind of file they sent.
_database_words = re.compile(
    r"sqlite|apsw|\bWAL\b|\bVACUUM\b|\bPRAGMA\b|json_each|\btriggers?\b", re.IGNORECASE
)
KNOW_THE_DATABASE = {"storage.sqlite", "storage.opening", "formats.files.detection"}


def test_one_file_knows_the_database() -> None:
    """Code, comments and messages outside of sqlite.py and its SQL hold for every database."""
    offences = [
        f"{module_of(file)}:{number} {line.strip()}"
        for file in python_files(PACKAGE)
        if module_of(file) not in KNOW_THE_DATABASE
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1)
        if _database_words.search(line.replace("(`sqlite.py`)", ""))
    ]
    assert not offences


def test_segments_are_reached_through_their_store() -> None:
    """What writes, reads and sweeps segments knows no path, so that a store of another kind can take them."""
    rooms = (
        PACKAGE / "storage" / "segments",
        PACKAGE / "storage" / "journal",
        PACKAGE / "storage" / "catalog",
    )
    offences = [
        f"{module_of(file)}:{line} imports {name}"
        for room in rooms
        for file in python_files(room)
        for line, name in imports_of(tree_of(file))
        if name.startswith(("pathlib", "rowkeep.storage.local_"))
    ]
    assert not offences
