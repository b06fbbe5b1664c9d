"""Files of the official Python clients, unmodified, against a real server. Source: contract 4.9."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.api.publishing import Publication
from tests.e2e.client_process import SCRIPTS, Facts, drive, python_of
from tests.e2e.test_python_clients import INSTALLED, VERSIONS
from tests.server_process import ServerProcess

FILES = {"a.txt": "first\nsecond\n", "deep/b.txt": "Zürich\n", "empty": ""}
BY_HAND = {"by hand.txt": "text by hand"}
# Older ones know files by the rows of their table.
WITH_DIRECTORIES = ("0.20.6", INSTALLED)


@pytest.fixture
def made(server: ServerProcess) -> Iterator[Publication]:
    """A data set that is not released."""
    publication = Publication(server)
    yield publication
    publication.close()


@pytest.mark.parametrize("version", VERSIONS)
def test_python(server: ServerProcess, made: Publication, version: str, tmp_path: Path) -> None:
    """A folder is added, listed, read in part and downloaded as it was."""
    source = tmp_path / "source"
    for name, text in FILES.items():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_text(text)
    owner, _, dataset = made.reference.partition(".")
    given = {"owner": owner, "dataset": dataset, "source": str(source), "target": str(tmp_path)}
    told: Facts = drive([python_of(version, INSTALLED), SCRIPTS / "python_files.py"], server, given)["files"]
    files = {**FILES, **BY_HAND}
    assert told["rows"] == len(files)
    if version not in WITH_DIRECTORIES:
        assert told["names"] == sorted(Path(name).name for name in files)
        assert told["read"] == sorted(files.values())
        return
    assert told["names"] == sorted(f"{name}" for name in files)
    assert told["all"] == files
    assert told["part"] == FILES["deep/b.txt"].encode()[1:3].decode()
    assert told["opened"] == FILES["deep/b.txt"]
