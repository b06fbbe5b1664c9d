"""Files that are sent to a running server to be loaded, as the tests do it: raw HTTP."""

import io
import os
import time
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pyarrow.parquet as pq

from tests.api.publishing import Json, Publication
from tests.server_process import ServerProcess

UNFINISHED = ("queued", "running")
SECONDS_MAX = 60


def parquet_of(**columns: Any) -> bytes:
    """A Parquet file."""
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink)
    return sink.getvalue()


def send(made: Publication, table: str, content: bytes, **said: Any) -> httpx.Response:
    """Sends a file as the body of a request, with what is said of it in the query."""
    headers = {"Content-Type": "application/octet-stream"}
    return made.client.post(f"{made.table(table)}/uploads", params=said, content=content, headers=headers)


def begin_load(made: Publication, table: str, content: bytes, **said: Any) -> Json:
    """A new upload of a file, which is taken in and not loaded yet."""
    response = send(made, table, content, **said)
    assert response.status_code == 201, response.text
    upload: Json = response.json()
    return upload


def finished(made: Publication, uri: str) -> Json:
    """An upload once it is loaded or has failed."""
    deadline = time.monotonic() + SECONDS_MAX
    while True:
        upload: Json = made.done("GET", uri)
        if upload["status"] not in UNFINISHED:
            return upload
        assert time.monotonic() < deadline, upload
        time.sleep(0.05)


def load(made: Publication, table: str, content: bytes, **said: Any) -> Json:
    """An upload of a file that was loaded, or failed."""
    return finished(made, begin_load(made, table, content, **said)["uri"])


def worker_folders(server: ServerProcess) -> list[str]:
    """The folders of workers that run."""
    return sorted(file.name for file in (server.data_dir / "jobs").iterdir())


def workers_of(server: ServerProcess) -> list[int]:
    """The process ids of workers that do a job: the children of the server's template that are in jail.

    Those that wait for a job have no session of their own yet.
    """
    templates = [pid for pid in children_of(server.pid) if "workers.template" in command_of(pid)]
    workers = [worker for template in templates for worker in children_of(template)]
    return [worker for worker in workers if _session_of(worker) == worker]


def _session_of(process_id: int) -> int | None:
    try:
        return os.getsid(process_id)
    except ProcessLookupError:
        return None


def children_of(parent: int) -> list[int]:
    """The process ids of the children of a process."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text()
            except (FileNotFoundError, ProcessLookupError):
                continue
            if int(stat.rpartition(")")[2].split()[1]) == parent:
                found.append(int(entry.name))
    return found


def command_of(process_id: int) -> str:
    """The command line of a process."""
    return Path(f"/proc/{process_id}/cmdline").read_bytes().replace(b"\0", b" ").decode()


def long_load(made: Publication) -> Json:
    """A load that lasts some seconds, under way."""
    content = parquet_of(id=list(range(1_000_000)), text=[f"text {i}" for i in range(1_000_000)])
    return begin_load(made, "answers", content, name="long.parquet")
