"""Loads: how fast a CSV and a Parquet file become a table, and how they slow down inserts beside them.

The reference reads the same file with the types given and writes Parquet of it: DuckDB for CSV, pyarrow for
Parquet. The server's time is that of the load, from the request that creates the upload to `completed`; that
of sending the file is told apart.
"""

import http.client
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import pyarrow.parquet as pq

from rowkeep.trials.load import LoadPlan, LoadResult
from rowkeep.trials.processes import end
from rowkeep.trials.report import Bar, bar_lines, table_text
from rowkeep.trials.run import carry_out
from rowkeep.trials.targets import ROWS_PATH, TABLE_PATH, TOKEN, free_port, launch_rowkeep, make_stream

MEGABYTES = 200
BYTES_PER_ROW = 96  # about, of the CSV below
CONNECTIONS = 16
ROWS_PER_REQUEST = 10
SPEED_RATIO_MIN = 0.5
P99_RATIO_MAX = 2.0
POLL_SECONDS = 0.05
LOAD_SECONDS_MAX = 600.0
_TYPES = {
    "id": "BIGINT",
    "share": "DOUBLE",
    "is_open": "BOOLEAN",
    "day": "DATE",
    "at": "TIMESTAMP",
    "clock": "TIME",
    "name": "VARCHAR",
    "note": "VARCHAR",
}
_ROWS = """
    SELECT i AS id, (i * 7919 % 1000003) / 7.0 AS share, i % 3 = 0 AS is_open,
        DATE '2000-01-01' + (i % 9000)::INTEGER AS day,
        TIMESTAMP '2020-01-01' + INTERVAL (i % 100000000) SECOND AS at,
        TIME '00:00:00' + INTERVAL (i % 86400) SECOND AS clock,
        'name ' || (i * 31 % 5000) AS name, 'note ' || (i * 7919 % 1000003) AS note
    FROM range({count}) AS numbers (i)
"""


class _Files(msgspec.Struct, frozen=True):
    """One table, as a CSV file and as a Parquet file."""

    csv: Path
    parquet: Path
    row_count: int


class _Client:
    """Sends files to a server and waits for their loads."""

    def __init__(self, port: int) -> None:
        self._port = port

    def ask(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        """Sends a request that must succeed. Returns the JSON of its answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=LOAD_SECONDS_MAX)
        headers = {"Authorization": f"Bearer {TOKEN}"}
        if not hasattr(body, "read"):
            headers["Content-Type"] = "application/json"
            body = None if body is None else json.dumps(body)
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        text = response.read()
        connection.close()
        if response.status >= 300:
            raise RuntimeError(f"{method} {path}: {response.status} {text[:500]!r}")
        answer: dict[str, Any] = json.loads(text) if text[:1] == b"{" else {}
        return answer

    def send(self, file: Path) -> str:
        """Sends a file. Returns the id of its temporary upload."""
        draft = {"tempUploads": [{"name": file.name, "size": file.stat().st_size}]}
        made = self.ask("POST", f"{TABLE_PATH}/tempUploads", draft)["results"][0]
        with file.open("rb") as content:
            self.ask("PUT", f"/api/v1/tempUploads/{made['id']}", content)
        return str(made["id"])

    def begin(self, file: Path) -> str:
        """Sends a file and starts its load. Returns the path of its upload."""
        sent = self.send(file)
        body = {"name": file.name, "tempUploadId": sent}
        return "/api/v1" + str(self.ask("POST", f"{TABLE_PATH}/uploads", body)["uri"])

    def wait(self, upload: str) -> None:
        """Waits until an upload is loaded. Raises RuntimeError when the load failed."""
        while (found := self.ask("GET", upload))["status"] in ("queued", "running"):
            time.sleep(POLL_SECONDS)
        if found["status"] != "completed":
            raise RuntimeError(found["errorMessage"])

    def is_loading(self, upload: str) -> bool:
        """Returns whether a load is under way."""
        return bool(self.ask("GET", upload)["status"] in ("queued", "running"))


def run_files(megabytes: int, rounds: int, seconds: float, directory: Path) -> str:
    """Loads the files in turn with their references, then beside inserts. Progress goes to stderr."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=directory)))
        files = _make_files(folder, megabytes * 1_000_000 // BYTES_PER_ROW)
        make_stream(folder / "data")
        port = free_port()
        stack.callback(end, launch_rowkeep(folder / "data", port))
        client = _Client(port)
        measures = {
            "CSV, DuckDB": lambda: _read_csv(files.csv, folder / "reference.parquet"),
            "CSV, rowkeep": lambda: _load(client, files.csv),
            "Parquet, pyarrow": lambda: _copy_parquet(files.parquet, folder / "reference.parquet"),
            "Parquet, rowkeep": lambda: _load(client, files.parquet),
        }
        found = {name: _median_of(name, measure, rounds) for name, measure in measures.items()}
        alone, beside = _inserts(client, port, files.csv, seconds)
        return _text(files, found, alone, beside)


def _make_files(folder: Path, row_count: int) -> _Files:
    files = _Files(folder / "rows.csv", folder / "rows.parquet", row_count)
    rows = _ROWS.format(count=row_count)
    with duckdb.connect() as connection:
        connection.execute(f"COPY ({rows}) TO '{files.csv}' (FORMAT csv, HEADER)")
        connection.execute(f"COPY ({rows}) TO '{files.parquet}' (FORMAT parquet, COMPRESSION zstd)")
    return files


def _read_csv(file: Path, target: Path) -> float:
    columns = ", ".join(f"'{name}': '{type_}'" for name, type_ in _TYPES.items())
    query = f"SELECT * FROM read_csv('{file}', header = true, columns = {{{columns}}})"
    started = time.perf_counter()
    with duckdb.connect() as connection:
        connection.execute(f"COPY ({query}) TO '{target}' (FORMAT parquet, COMPRESSION zstd)")
    return time.perf_counter() - started


def _copy_parquet(file: Path, target: Path) -> float:
    started = time.perf_counter()
    source = pq.ParquetFile(file)
    with pq.ParquetWriter(target, source.schema_arrow, compression="zstd", compression_level=1) as writer:
        for batch in source.iter_batches(65_536):
            writer.write_batch(batch)
    return time.perf_counter() - started


def _load(client: _Client, file: Path) -> float:
    sent = client.send(file)
    started = time.perf_counter()
    body = {"name": file.name, "tempUploadId": sent}
    upload = "/api/v1" + str(client.ask("POST", f"{TABLE_PATH}/uploads", body)["uri"])
    client.wait(upload)
    took = time.perf_counter() - started
    client.ask("DELETE", upload)
    return took


def _median_of(name: str, measure: Callable[[], float], rounds: int) -> float:
    found = []
    for _ in range(rounds):
        found.append(measure())
        sys.stderr.write(f"{name}: {found[-1]:.2f} s\n")
    return statistics.median(found)


def _inserts(client: _Client, port: int, file: Path, seconds: float) -> tuple[LoadResult, LoadResult]:
    """Measures inserts alone, and for as long beside loads that follow each other."""
    plan = LoadPlan("127.0.0.1", port, ROWS_PATH, TOKEN, CONNECTIONS, ROWS_PER_REQUEST, seconds)
    carry_out(plan)
    alone = carry_out(plan)
    uploads = [client.begin(file) for _ in range(3)]
    beside = carry_out(plan)
    if not any(client.is_loading(upload) for upload in uploads):
        sys.stderr.write("the loads ended before the inserts did: take a larger file\n")
    for upload in uploads:
        client.ask("DELETE", upload)
    return alone, beside


def _text(files: _Files, found: dict[str, float], alone: LoadResult, beside: LoadResult) -> str:
    lines = [[name, f"{took:.2f}", f"{files.row_count / took / 1e6:.2f}"] for name, took in found.items()]
    bars = [
        Bar(
            f"{kind}: speed against {reference}",
            found[f"{kind}, {reference}"] / found[f"{kind}, rowkeep"],
            SPEED_RATIO_MIN,
            at_least=True,
        )
        for kind, reference in (("CSV", "DuckDB"), ("Parquet", "pyarrow"))
    ]
    ratio = beside.p99_ms / alone.p99_ms
    bars.append(Bar("p99 of inserts beside a load, against alone", ratio, P99_RATIO_MAX, at_least=False))
    size = files.csv.stat().st_size / 1e6
    head = [f"{files.row_count:,} rows, {size:.0f} MB of CSV", "s", "million rows/s"]
    inserts = table_text(
        [f"inserts of {ROWS_PER_REQUEST} rows, {CONNECTIONS} connections", "requests/s", "p50 ms", "p99 ms"],
        [
            [name, f"{result.requests / result.seconds:,.0f}", f"{result.p50_ms:.2f}", f"{result.p99_ms:.2f}"]
            for name, result in (("alone", alone), ("beside a load", beside))
        ],
    )
    return f"{table_text(head, lines)}\n\n{inserts}\n{bar_lines(bars)}"
