"""What tests of the storage contract use: every backend, and a catalog to insert into."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from rowkeep.storage.base import Database
from tests.contract.backends import BACKENDS, OpenDatabase
from tests.contract.journaling import Uploads, make_uploads


@pytest.fixture(params=BACKENDS)
def open_database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[OpenDatabase]:
    """Opens the database of one backend; a second call opens the same data again."""
    with BACKENDS[request.param](tmp_path) as open_:
        yield open_


@pytest.fixture
def database(open_database: OpenDatabase) -> Database:
    """An open, empty database."""
    return open_database()


@pytest.fixture
def uploads(database: Database) -> Uploads:
    """Two empty stream uploads in one table."""
    return make_uploads(database)
