"""Drives Upload.create of one version of the Python client with all that it takes; tells what became of it.

Run by tests/e2e/test_upload_clients.py. On stdin comes a JSON object: `owner` and `dataset`, a data set that
is not released, and `folder`, for files. It prints lines `facts: {"section":, "facts":}`.
"""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dask.dataframe
import geopandas
import pandas
import polars
import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet as pq
import redivis

CSV = b"site,n\nBern,1\nZ\xc3\xbcrich,2\n"
COLUMNS = {"site": ["Bern", "Zürich"], "n": [1, 2]}
SECONDS_MAX = 60


def sources(folder: Path) -> dict[str, Callable[[], Any]]:
    """Everything that content can be, by name."""
    path = folder / "rows.csv"
    path.write_bytes(CSV)
    large = folder / "large.csv"
    large.write_bytes(CSV + b"Chur,3\n" * 200_000)  # above what goes in one form
    table = pa.table(COLUMNS)
    pq.write_table(table, folder / "rows.parquet")
    points = geopandas.GeoDataFrame(
        {"site": COLUMNS["site"]},
        geometry=geopandas.points_from_xy([7.4, 8.5], [46.9, 47.4]),
        crs="EPSG:4326",
    )
    return {
        "path": lambda: path,
        "str": lambda: str(path),
        "large": lambda: large,
        "file": lambda: path.open("rb"),
        "bytes": lambda: CSV,
        "bytearray": lambda: bytearray(CSV),
        "pandas": lambda: pandas.DataFrame(COLUMNS),
        "polars": lambda: polars.DataFrame(COLUMNS),
        "lazy polars": lambda: polars.LazyFrame(COLUMNS),
        "pyarrow": lambda: table,
        "batch": lambda: table.to_batches()[0],
        "dataset": lambda: pyarrow.dataset.dataset(folder / "rows.parquet"),
        "dask": lambda: dask.dataframe.from_pandas(pandas.DataFrame(COLUMNS), npartitions=1),
        "geopandas": lambda: points,
    }


def wait(upload: Any) -> Any:
    """The upload once it is loaded or has failed."""
    deadline = time.monotonic() + SECONDS_MAX
    while upload.properties["status"] in ("queued", "running"):
        if time.monotonic() > deadline:
            raise TimeoutError(upload.name)
        time.sleep(0.05)
        upload.get()
    return upload


def seen(upload: Any) -> dict[str, Any]:
    """What is told of an upload that has ended."""
    facts = {name: upload.properties[name] for name in ("name", "status", "numRows", "errorMessage")}
    facts["types"] = {each.name: each.properties["type"] for each in upload.list_variables()}
    return facts


def flags(table: Any) -> dict[str, Any]:
    """What conflicts of names and failures come to."""
    wait(table.upload("same.csv").create(CSV, wait_for_finish=False))
    again = table.upload("same.csv")
    facts: dict[str, Any] = {"refused": str(refusal_of(lambda: again.create(CSV)))}
    renamed = table.upload("same.csv").create(CSV, rename_on_conflict=True, wait_for_finish=False)
    facts["renamed"] = wait(renamed).properties["name"]
    other = CSV + b"Chur,3\n"
    replaced = table.upload("same.csv").create(other, replace_on_conflict=True, wait_for_finish=False)
    facts["replaced"] = seen(wait(replaced))["numRows"]
    table.upload("same.csv").create(CSV, if_not_exists=True)
    facts["kept"] = seen(read(table, "same.csv"))["numRows"]
    bad = table.upload("bad.csv")
    facts["failed"] = str(refusal_of(lambda: bad.create(b"a,b\n1\n2,3,4\n", remove_on_fail=True)))
    facts["removed"] = not table.upload("bad.csv").exists()
    kept = table.upload("kept.csv").create(b"a,b\n1\n2,3,4\n", raise_on_fail=False)
    facts["not raised"] = kept.properties["status"]
    metadata = {"n": {"label": "how many", "description": "counted", "valueLabels": {"1": "one"}}}
    described = table.upload("described.csv").create(CSV, metadata=metadata, wait_for_finish=False)
    variable = wait(described).variable("n").get().properties
    facts["metadata"] = [variable["label"], variable["description"], variable["valueLabels"]]
    return facts


def read(table: Any, name: str) -> Any:
    """An upload that is there."""
    upload = table.upload(name)
    upload.get()
    return upload


def refusal_of(action: Callable[[], Any]) -> Any:
    """What the client raises."""
    try:
        action()
    except Exception as error:  # noqa: BLE001 - whatever it is, it is told
        return error
    return None


def main() -> None:
    """Creates an upload of each source, then tries the flags."""
    given = json.load(sys.stdin)
    dataset = redivis.user(given["owner"]).dataset(given["dataset"], version="next")
    table = dataset.table("sources").create()
    facts: dict[str, Any] = {}
    begun = {}
    for name, source in sources(Path(given["folder"])).items():
        try:
            begun[name] = table.upload(f"of {name}").create(source(), progress=False, wait_for_finish=False)
        except Exception as error:  # noqa: BLE001 - a version may not take it
            facts[name] = f"{type(error).__name__}: {error}"
    facts |= {name: seen(wait(upload)) for name, upload in begun.items()}
    tell("sources", facts)
    tell("flags", flags(dataset.table("flags").create()))


def tell(section: str, facts: dict[str, Any]) -> None:
    """Prints what was seen."""
    sys.stdout.write(f"\nfacts: {json.dumps({'section': section, 'facts': facts})}\n")


if __name__ == "__main__":
    main()
