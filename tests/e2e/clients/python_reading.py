"""How one version of the Python client reads rows: every form it offers, as plain values."""

import datetime
from typing import Any

from python_client import Cycle, Facts

Rows = list[list[Any]]


def plain(value: Any) -> Any:
    """A cell as JSON can hold it."""
    if isinstance(value, datetime.datetime):
        return value.isoformat(timespec="microseconds")
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    return value


def rows_of(arrow: Any) -> Rows:
    """An Arrow table's or batch's rows, cell by cell."""
    return [[plain(cell) for cell in row.values()] for row in arrow.to_pylist()]


def time_refusal(parent: Any) -> str | None:
    """What comes of reading a variable of type time: 0.15 wants text and fails on real times."""
    try:
        parent.to_arrow_table(progress=False, variables=["local_time"])
    except NotImplementedError as error:
        return type(error).__name__
    return None


def emptiness(parent: Any) -> dict[str, Any]:
    """What comes of rows that are not there."""
    arrow = parent.to_arrow_table(progress=False)
    return {
        "rows": arrow.num_rows,
        "columns": arrow.column_names,
        "pandas": list(parent.to_pandas_dataframe(progress=False).columns),
    }


def readings(parent: Any, variables: list[str]) -> dict[str, Any]:
    """The same rows in each form."""
    whole = {"variables": variables, "progress": False}
    some = {"variables": ["COUNT", "site"], "max_results": 2, "progress": False}
    arrow = parent.to_arrow_table(**whole)
    frame = parent.to_pandas_dataframe(**some)
    batches = list(parent.to_arrow_batch_iterator(**whole))
    polars = parent.to_polars_lazyframe(**whole).collect().rows()
    told = {
        "arrow": rows_of(arrow),
        "types": [str(field.type) for field in arrow.schema],
        "batches": [row for batch in batches for row in rows_of(batch)],
        "dataset": rows_of(parent.to_arrow_dataset(**whole).to_table()),
        "polars": [[plain(cell) for cell in row] for row in polars],
        "someArrow": rows_of(parent.to_arrow_table(**some)),
        "somePandas": [list(frame.columns), frame["count"].tolist()],
        "pandas": pandas_shapes(parent, **whole),
        "dask": len(parent.to_dask_dataframe(**whole)),
        "geopandas": geopandas_points(parent, **whole),
        "streams": None,
    }
    if hasattr(parent, "to_read_streams"):
        streams = parent.to_read_streams(3, variables=variables)
        told["streams"] = [
            row for stream in streams for row in rows_of(stream.to_arrow_table(progress=False))
        ]
    return told


def pandas_shapes(parent: Any, **options: Any) -> list[list[int]]:
    """Rows and columns with each kind of pandas type."""
    kinds = ("pyarrow", "numpy_nullable", "numpy")
    frames = [
        parent.to_pandas_dataframe(dtype_backend=kind, date_as_object=True, **options) for kind in kinds
    ]
    return [list(frame.shape) for frame in frames]


def geopandas_points(parent: Any, **options: Any) -> list[str | None]:
    """The geographies, as WKT."""
    geometries = parent.to_geopandas_dataframe(**options).geometry
    return [None if geometry is None else geometry.wkt for geometry in geometries]


def stacked(table: Any, names: list[str]) -> dict[str, Any]:
    """A table of several uploads with different variables, read whole and in batches."""
    arrow = table.to_arrow_table(progress=False, variables=names)
    batches = list(table.to_arrow_batch_iterator(progress=False, variables=names))
    return {
        "columns": arrow.column_names,
        "rows": arrow.num_rows,
        "batchRows": sum(batch.num_rows for batch in batches),
        "nulls": [arrow[name].null_count for name in names],
    }


def orders(parent: Any, name: str) -> list[bool]:
    """Whether the numbers 0, 1, 2... come in that order, read in parallel and in batches."""
    parallel = parent.to_arrow_table(progress=False, max_parallelization=8)[name].to_pylist()
    batches = parent.to_arrow_batch_iterator(progress=False)
    single = [row[name] for batch in batches for row in batch.to_pylist()]
    expected = list(range(len(parallel)))
    return [parallel == expected, single == expected]


def reading(cycle: Cycle) -> Facts:
    """Rows read back in every form that the version offers."""
    dataset = cycle.dataset("Reading").create()
    table = dataset.table("t").create()
    upload = table.upload("u").create(type="stream", schema=cycle.schema)
    parents = {"table": table, "upload": upload}
    facts: Facts = {"empty": {kind: emptiness(parent) for kind, parent in parents.items()}}
    upload.insert_rows(cycle.rows)
    facts["timeRefused"] = time_refusal(upload)
    every = [item["name"] for item in cycle.schema if not facts["timeRefused"] or item["type"] != "time"]
    facts["columns"] = every
    for kind, parent in parents.items():
        facts[kind] = readings(parent, every)
    second_schema = [{"name": "extra", "type": "date"}, {"name": "count", "type": "integer"}]
    second = table.upload("second").create(type="stream", schema=second_schema)
    second.insert_rows([{"extra": "2020-01-01", "count": number} for number in range(1000)])
    facts["stacked"] = stacked(table, ["extra", "site", "count"])
    facts["order"] = orders(second, "count")
    dataset.delete()
    return facts
