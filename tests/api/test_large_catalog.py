"""Speed over a large catalog: one of 10,000 is found as fast as one of few, the last page as the first."""

import statistics
import time
from collections.abc import Iterator

import pytest

from rowkeep.model.access import AccessLevel
from rowkeep.model.resources import MergeStrategy, UploadType
from rowkeep.model.schema import Variable, declared_schema
from rowkeep.model.types import VariableType
from rowkeep.services.accounts import create_token, create_user
from rowkeep.storage.catalog.catalog import CatalogEditor
from rowkeep.storage.catalog.datasets import NewDataset
from rowkeep.storage.catalog.tables import NewTable
from rowkeep.storage.catalog.uploads import NewUpload
from rowkeep.storage.doors import edit_catalog
from rowkeep.storage.local_files import DataDirectory
from rowkeep.storage.sqlite import SqliteDatabase
from tests.api.access_table import API
from tests.api.caller import Caller
from tests.server_process import ServerProcess

pytestmark = pytest.mark.long

COUNT = 10_000
GET_MS_MAX = 2.0
PAGES_FACTOR_MAX = 2.0
REQUESTS = 500
SCHEMA = declared_schema([Variable(f"v{number}", VariableType.INTEGER) for number in range(8)])


@pytest.fixture(scope="module")
def large_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server with a dataset of COUNT tables, and COUNT other datasets, of which each fifth is granted."""
    server = ServerProcess(tmp_path_factory.mktemp("large") / "data")
    database = SqliteDatabase(DataDirectory(server.data_dir).database)
    edit_catalog(database, _fill)
    database.close()
    server.start()
    yield server
    server.close()


def _fill(editor: CatalogEditor) -> None:
    owner = editor.owners.find(ServerProcess.user)
    assert owner is not None
    friend = create_user(editor, "friend")
    editor.datasets.add(NewDataset(owner, "big", AccessLevel.NONE, None), None)
    for number in range(COUNT):
        _add_table(editor, "big", f"t{number}")
        name = f"d{number}"
        editor.datasets.add(
            NewDataset(owner, name, AccessLevel.DATA if number % 3 else AccessLevel.NONE, None), None
        )
        dataset_id, version_id = _add_table(editor, name, "t")
        if number % 2:
            editor.versions.release(version_id, (1, 0), None)
        if number % 5 == 0:
            editor.grants.set(dataset_id, friend.id, AccessLevel.DATA)


def _add_table(editor: CatalogEditor, dataset_name: str, name: str) -> tuple[int, int]:
    """A table with an upload; the ids of its dataset and version."""
    dataset = editor.datasets.find(ServerProcess.user, dataset_name, None, None)
    assert dataset is not None
    version_id = dataset.next_version_id
    assert version_id is not None
    table = editor.tables.add(NewTable(version_id, name, None, MergeStrategy.APPEND, is_file_index=False))
    editor.uploads.add(NewUpload(table.id, "s", UploadType.STREAM, SCHEMA, updates_by_default=False))
    return dataset.id, version_id


def seconds_of(caller: Caller, token: str | None, path: str) -> tuple[float, str | None]:
    """How long a GET takes, and the next page's token where there is one."""
    started = time.perf_counter()
    reply = caller.ask(token, "GET", path)
    seconds = time.perf_counter() - started
    assert reply.status == 200, reply
    next_token: str | None = reply.json().get("nextPageToken")
    return seconds, next_token


@pytest.mark.parametrize("part", ["", "/variables", "/uploads", "/uploads/s"])
def test_one_of_many_is_found_fast(large_server: ServerProcess, part: str) -> None:
    """A table, its variables and its uploads among COUNT tables: the median is at most 2 ms."""
    caller = Caller(large_server.url)
    path = f"{API}/tables/{large_server.user}.big.t{COUNT // 2}{part}"
    median = statistics.median(seconds_of(caller, large_server.token, path)[0] for _ in range(REQUESTS))
    caller.close()
    assert median * 1000 <= GET_MS_MAX


@pytest.mark.parametrize(
    ("who", "what"),
    [
        ("owner", "datasets/demo.big/tables"),
        ("owner", "users/demo/datasets"),
        ("friend", "users/demo/datasets"),
        ("anonymous", "users/demo/datasets"),
    ],
)
def test_pages_take_flat_time(large_server: ServerProcess, who: str, what: str) -> None:
    """The last pages of a long list take as long as the first, to whomever the list is shown."""
    token = large_server.token if who == "owner" else None
    if who == "friend":
        database = SqliteDatabase(DataDirectory(large_server.data_dir).database)
        token = edit_catalog(database, lambda editor: create_token(editor, "friend", (), None))
        database.close()
    caller = Caller(large_server.url)
    seconds: list[float] = []
    page_token: str | None = ""
    while page_token is not None:
        path = f"{API}/{what}?maxResults=100&pageToken={page_token}"
        taken, page_token = seconds_of(caller, token, path)
        seconds.append(taken)
    caller.close()
    full = seconds[:-1]
    quarter = len(full) // 4
    assert quarter >= 8
    assert statistics.median(full[-quarter:]) < PAGES_FACTOR_MAX * statistics.median(full[:quarter])
