"""What is measured: the floor, rowkeep itself, and peers that already run somewhere on this machine."""

import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from rowkeep.benchmark.processes import Process
from rowkeep.benchmark.workload import SCHEMA
from rowkeep.model.access import AccessLevel
from rowkeep.model.resources import OwnerKind, UploadType
from rowkeep.model.schema import Variable, declared_schema
from rowkeep.model.types import VariableType
from rowkeep.services.access import token_hash
from rowkeep.storage.base import CatalogEditor, NewDataset, NewTable, NewUpload
from rowkeep.storage.doors import edit_catalog
from rowkeep.storage.files import DataDirectory
from rowkeep.storage.sqlite import SqliteDatabase

START_SECONDS_MAX = 30
TABLE_PATH = "/api/v1/tables/bench.bench.bench"
ROWS_PATH = f"{TABLE_PATH}/uploads/bench/rows"
TOKEN = "benchmark"  # of a server that lives for one benchmark


class Target(msgspec.Struct, frozen=True):
    """Where rows are sent. `pid` is the process to account for, or None."""

    name: str
    host: str
    port: int
    path: str
    token: str
    pid: int | None = None


def peer(name: str, url: str, token: str) -> Target:
    """A server that someone else has started."""
    parts = urlsplit(url)
    return Target(name, parts.hostname or "127.0.0.1", parts.port or 80, parts.path, token)


def start_floor() -> tuple[Target, Process]:
    """The floor, in a process of its own."""
    port = free_port()
    process = subprocess.Popen([sys.executable, "-m", "rowkeep.benchmark.floor", str(port)])
    _wait_for(port)
    return Target("floor", "127.0.0.1", port, "/", "", process.pid), process


def start_rowkeep(data_dir: Path) -> tuple[Target, Process]:
    """rowkeep on a fresh data directory with one typed stream."""
    make_stream(data_dir)
    port = free_port()
    process = launch_rowkeep(data_dir, port)
    return Target("rowkeep", "127.0.0.1", port, ROWS_PATH, TOKEN, process.pid), process


def make_stream(data_dir: Path) -> None:
    """Makes a data directory with a user, the token TOKEN and the stream behind ROWS_PATH."""
    database = SqliteDatabase(DataDirectory(data_dir).database)
    edit_catalog(database, _make_stream)
    database.close()


def launch_rowkeep(data_dir: Path, port: int) -> Process:
    """Starts a server and waits until it takes connections."""
    command = [sys.executable, "-m", "rowkeep", "serve", "--data-dir", str(data_dir), "--port", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _wait_for(port)
    return process


def _make_stream(editor: CatalogEditor) -> None:
    owner = editor.add_owner(OwnerKind.USER, "bench")
    editor.add_token(owner.id, token_hash(TOKEN.encode()), "data.edit", None)
    editor.add_dataset(NewDataset(owner, "bench", AccessLevel.NONE, None))
    dataset = editor.dataset("bench", "bench", None, owner.id)
    assert dataset is not None
    assert dataset.next_version_id is not None
    editor.add_table(NewTable(dataset.next_version_id, "bench", None, "append", is_file_index=False))
    table = editor.table(dataset.next_version_id, "bench", None)
    assert table is not None
    schema = declared_schema([Variable(name, VariableType(type_)) for name, type_ in SCHEMA])
    editor.add_upload(NewUpload(table.id, "bench", UploadType.STREAM, schema, updates_by_default=False))


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + START_SECONDS_MAX
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return
