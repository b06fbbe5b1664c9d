"""Drives the downloads of one version of the Python client and tells what it saw.

Run by tests/e2e/test_export_clients.py. On stdin comes a JSON object: `owner`, `dataset` and `table`, the
names of a data set that is not released and its table, and `folder`, to download to. It prints a line
`facts: {"section":, "facts":}`.
"""

import json
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import redivis
from python_client import refusal
from python_reading import rows_of

BYTES_OF_EXPORTS = 2_000_000_000


def downloaded(source: Any, folder: Path, format_: str) -> str:
    """The name of the file that a download to a folder makes."""
    [path] = source.download(str(folder), format=format_, progress=False)
    return Path(path).name


def main() -> None:
    """Downloads a table, an upload and a query, and reads a table as if it were large."""
    given = json.load(sys.stdin)
    folder = Path(given["folder"])
    dataset = redivis.user(given["owner"]).dataset(given["dataset"], version="next")
    table = dataset.table(given["table"])
    table.download(str(folder / "rows.csv"), format="csv", progress=False)
    table.download(str(folder / "rows.parquet"), format="parquet", progress=True)
    reference = f"{given['owner']}.{given['dataset']}:next.{given['table']}"
    query = redivis.query(f"SELECT count(*) AS n FROM `{reference}`")
    if hasattr(query, "download"):  # since 0.21
        query.download(str(folder / "query.parquet"), format="parquet", progress=False)
    large = dataset.table(given["table"])
    large.get()
    # As if the server said so: from 1e9 bytes on the client reads through an export by itself.
    large.properties["numBytes"] = BYTES_OF_EXPORTS
    large.get = lambda: large
    facts = {
        "csv": (folder / "rows.csv").read_text(),
        "parquet": pq.read_table(folder / "rows.parquet").to_pylist(),
        "query": pq.read_table(folder / "query.parquet").to_pylist()
        if (folder / "query.parquet").exists()
        else None,
        "folder": downloaded(table, folder / "more", "jsonl"),
        "large": rows_of(large.to_arrow_table(progress=False)),
        "refused": refusal(lambda: table.download(str(folder / "x.xls"), format="xls", progress=False)),
    }
    sys.stdout.write(f"\nfacts: {json.dumps({'section': 'export', 'facts': facts})}\n")


if __name__ == "__main__":
    main()
