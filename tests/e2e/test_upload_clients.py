"""Upload.create of the official Python clients, with everything that it takes. Long: half a minute a version.

`scripts/test --long tests/e2e/test_upload_clients.py` runs it.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.api.publishing import Publication
from tests.e2e.client_process import SCRIPTS, Facts, drive, python_of
from tests.e2e.test_python_clients import INSTALLED
from tests.server_process import ServerProcess

TYPES = {"site": "string", "n": "integer"}
# Before 0.18 an Upload took files and bytes alone.
VERSIONS = ("0.18.20", "0.20.6", INSTALLED)


@pytest.fixture
def made(server: ServerProcess) -> Iterator[Publication]:
    """A data set that is not released."""
    publication = Publication(server)
    yield publication
    publication.close()


def told_by(version: str, server: ServerProcess, made: Publication, folder: Path) -> dict[str, Facts]:
    """What a version told of its uploads."""
    owner, _, dataset = made.reference.partition(".")
    given = {"owner": owner, "dataset": dataset, "folder": str(folder)}
    return drive([python_of(version, INSTALLED), SCRIPTS / "python_uploads.py"], server, given)


@pytest.mark.long
@pytest.mark.parametrize("version", VERSIONS)
def test_uploads(version: str, server: ServerProcess, made: Publication, tmp_path: Path) -> None:
    """Every source becomes its rows, and every flag does what it says."""
    told = told_by(version, server, made, tmp_path)
    sources, flags = told["sources"], told["flags"]
    refused = {name for name, facts in sources.items() if isinstance(facts, str)}
    assert refused <= {"batch"}, "only 0.21 takes a record batch"
    sources = {name: facts for name, facts in sources.items() if name not in refused}
    rows = {name: facts["numRows"] for name, facts in sources.items()}
    assert rows == {**dict.fromkeys(sources, 2), "large": 200_002}
    assert {facts["status"] for facts in sources.values()} == {"completed"}
    types = {name: facts["types"] for name, facts in sources.items() if name != "geopandas"}
    assert types == dict.fromkeys(types, TYPES)
    # 0.18 writes geometries as texts.
    assert sources["geopandas"]["types"]["geometry"] == ("string" if version == "0.18.20" else "geography")
    assert "already exists" in flags["refused"]
    assert (flags["renamed"], flags["replaced"], flags["kept"]) == ("same_1.csv", 3, 3)
    assert "Line 2" in flags["failed"]
    assert flags["removed"] is True
    assert flags["not raised"] == "failed"
    assert flags["metadata"] == ["how many", "counted", [{"value": "1", "label": "one"}]]
