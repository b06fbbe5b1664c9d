"""Files that are sent to a running server to be loaded, as the tests do it: raw HTTP."""

import io
import time
from typing import Any

import httpx
import pyarrow as pa
import pyarrow.parquet as pq

from tests.api.publishing import Json, Publication

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
