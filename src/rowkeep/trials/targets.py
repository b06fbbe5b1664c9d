"""The servers that are measured: the floor, rowkeep itself, and peers that run on this machine already."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from rowkeep.model.access import AccessLevel
from rowkeep.model.chain import digest_of
from rowkeep.model.decoding.strict import row_decoder
from rowkeep.model.resources import Batch, OwnerKind, Upload, UploadType
from rowkeep.model.schema import Schema, Variable, declared_schema
from rowkeep.model.types import VariableType
from rowkeep.services.access import token_hash
from rowkeep.storage.catalog.catalog import CatalogEditor
from rowkeep.storage.catalog.datasets import NewDataset
from rowkeep.storage.catalog.tables import NewTable
from rowkeep.storage.catalog.uploads import NewUpload
from rowkeep.storage.doors import edit_catalog, read_snapshot
from rowkeep.storage.journal.journal import Journal
from rowkeep.storage.local_files import DataDirectory
from rowkeep.storage.opening import open_database
from rowkeep.trials.processes import Process
from rowkeep.trials.workload import SCHEMA, bodies

START_SECONDS_MAX = 30
STREAMS_PER_COMMIT = 1_000
TABLE_PATH = "/api/v1/tables/bench.bench.bench"
ROWS_PATH = f"{TABLE_PATH}/uploads/bench/rows"
TOKEN = "benchmark"  # of a server that lives for one benchmark


class Target(msgspec.Struct, frozen=True):
    """A server to which rows are sent. `pid` is the process whose costs are measured, or None."""

    name: str
    host: str
    port: int
    path: str
    token: str
    pid: int | None = None


def peer(name: str, url: str, token: str) -> Target:
    """Returns a server that someone else has started."""
    parts = urlsplit(url)
    return Target(name, parts.hostname or "127.0.0.1", parts.port or 80, parts.path, token)


def start_floor() -> tuple[Target, Process]:
    """Starts the floor in a process of its own."""
    port = free_port()
    process = subprocess.Popen([sys.executable, "-m", "rowkeep.trials.floor", str(port)])
    _wait_for(port)
    return Target("floor", "127.0.0.1", port, "/", "", process.pid), process


def start_rowkeep(data_dir: Path) -> tuple[Target, Process]:
    """Starts rowkeep on a fresh data directory with one typed stream."""
    make_stream(data_dir)
    port = free_port()
    process = launch_rowkeep(data_dir, port)
    return Target("rowkeep", "127.0.0.1", port, ROWS_PATH, TOKEN, process.pid), process


def make_stream(data_dir: Path) -> None:
    """Makes a data directory with a user, the token TOKEN and the stream behind ROWS_PATH."""
    database = open_database(DataDirectory(data_dir))
    edit_catalog(database, _make_stream)
    database.close()


def add_streams(data_dir: Path, count: int, row_count: int) -> None:
    """Adds streams to the table, each with some rows in the journal."""
    database = open_database(DataDirectory(data_dir))
    added = edit_catalog(database, lambda editor: _add_streams(editor, count))
    body = next(bodies(row_count))
    sha256 = digest_of(row_decoder(_schema()).read(body))
    journal = Journal()
    for start in range(0, count, STREAMS_PER_COMMIT):
        version = read_snapshot(database, lambda view: view.catalog_version())
        journal.commit_group(
            database,
            [
                Batch(upload.id, version, upload.schema, row_count, sha256, body)
                for upload in added[start : start + STREAMS_PER_COMMIT]
            ],
        )
    database.close()


def _add_streams(editor: CatalogEditor, count: int) -> list[Upload]:
    dataset = editor.datasets.find("bench", "bench", None, None)
    assert dataset is not None
    assert dataset.next_version_id is not None
    table = editor.tables.find(dataset.next_version_id, "bench", None)
    assert table is not None
    schema = _schema()
    for number in range(count):
        name = f"bench {number}"
        editor.uploads.add(NewUpload(table.id, name, UploadType.STREAM, schema, updates_by_default=False))
    return editor.uploads.page(table.id, 0, count + 1)[1:]


def _schema() -> Schema:
    return declared_schema([Variable(name, VariableType(type_)) for name, type_ in SCHEMA])


# A trial is one caller that asks as much as it can.
UNLIMITED = {"ROWKEEP_TOKEN_ASKS_PER_SECOND_MAX": "0", "ROWKEEP_ADDRESS_ASKS_PER_SECOND_MAX": "0"}


def launch_rowkeep(data_dir: Path, port: int, settings: Mapping[str, str] | None = None) -> Process:
    """Starts a server, with settings as in the environment, and waits until it takes connections."""
    command = [sys.executable, "-m", "rowkeep", "serve", "--data-dir", str(data_dir), "--port", str(port)]
    environment = {**os.environ, **UNLIMITED, **(settings or {})}
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=environment)
    _wait_for(port)
    return process


def _make_stream(editor: CatalogEditor) -> None:
    owner = editor.owners.add(OwnerKind.USER, "bench")
    editor.tokens.add(owner.id, token_hash(TOKEN.encode()), "data.edit", None)
    dataset = editor.datasets.add(NewDataset(owner, "bench", AccessLevel.NONE, None), owner.id)
    assert dataset.next_version_id is not None
    table = editor.tables.add(NewTable(dataset.next_version_id, "bench", None, "append", is_file_index=False))
    editor.uploads.add(NewUpload(table.id, "bench", UploadType.STREAM, _schema(), updates_by_default=False))


def free_port() -> int:
    """Returns a port that nobody listens on."""
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
