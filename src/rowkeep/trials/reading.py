"""Reads rows for the benchmark: over HTTP, and from the same files with pyarrow.dataset."""

import http.client
import json
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet

from rowkeep.trials.targets import TABLE_PATH, Target

READ_SECONDS_MAX = 600
PART_BYTES = 1024 * 1024


class Reading(msgspec.Struct, frozen=True):
    """The time that a stream took, and the time until its first bytes."""

    byte_count: int
    seconds: float
    first_seconds: float

    @property
    def mb_per_second(self) -> float:
        """Returns millions of bytes a second."""
        return self.byte_count / self.seconds / 1e6


def open_session(target: Target, stream_count: int = 1) -> tuple[int, list[str]]:
    """Opens a read session. Returns its number of rows and the ids of its streams."""
    body = json.dumps({"format": "arrow", "requestedStreamCount": stream_count})
    connection, answer = _ask(target, "POST", f"{TABLE_PATH}/readSessions", body)
    session: dict[str, Any] = json.loads(answer.read())
    connection.close()
    return session["numRows"], [stream["id"] for stream in session["streams"]]


def read_stream(target: Target, identifier: str, offset: int = 0) -> Reading:
    """Reads a stream to its end, without keeping it."""
    started = time.perf_counter()
    connection, answer = _ask(target, "GET", f"/api/v1/readStreams/{identifier}?offset={offset}", None)
    byte_count = len(answer.read(1))
    first_seconds = time.perf_counter() - started
    part = bytearray(PART_BYTES)
    while count := answer.readinto(part):
        byte_count += count
    seconds = time.perf_counter() - started
    connection.close()
    return Reading(byte_count, seconds, first_seconds)


def read_together(target: Target, identifiers: Sequence[str]) -> Reading:
    """Reads streams at the same time. Returns all their bytes, and the time until the last has ended."""
    started = time.perf_counter()
    with ThreadPoolExecutor(len(identifiers)) as pool:
        readings = list(pool.map(lambda identifier: read_stream(target, identifier), identifiers))
    return Reading(
        sum(reading.byte_count for reading in readings),
        time.perf_counter() - started,
        max(reading.first_seconds for reading in readings),
    )


def read_files(folder: Path) -> Reading:
    """Reads the same rows from the same files with pyarrow.dataset, in this process."""
    started = time.perf_counter()
    byte_count = 0
    first_seconds = 0.0
    for batch in pyarrow.dataset.dataset(folder).to_batches():
        first_seconds = first_seconds or time.perf_counter() - started
        byte_count += batch.nbytes
    return Reading(byte_count, time.perf_counter() - started, first_seconds)


def plain_parquet_bytes_per_row(folder: Path, scratch: Path) -> float:
    """Returns the bytes per row of one segment when pyarrow writes it with its defaults."""
    file = min(folder.glob("*.parquet"))
    table: pa.Table = pyarrow.parquet.read_table(file)
    pyarrow.parquet.write_table(table, scratch / "plain.parquet")
    return (scratch / "plain.parquet").stat().st_size / len(table)


def _ask(
    target: Target, method: str, path: str, body: str | None
) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
    connection = http.client.HTTPConnection(target.host, target.port, timeout=READ_SECONDS_MAX)
    headers = {"Authorization": f"Bearer {target.token}", "Content-Type": "application/json"}
    connection.request(method, path, body, headers)
    answer = connection.getresponse()
    if answer.status not in (200, 201):
        raise RuntimeError(f"{method} {path} was answered {answer.status}: {answer.read(400)!r}")
    return connection, answer
