"""The official Python client, unmodified, against a real server. Source: contract 6.1, 8."""

import datetime
import itertools
import os
from collections.abc import Iterator
from typing import Any

import pandas
import polars
import pyarrow
import pytest
import redivis
from redivis.common import exceptions

from tests.api.stream import ALL_TYPES
from tests.server_process import ServerProcess

ROWS: list[dict[str, Any]] = [
    {
        "site": "Zürich \u0000 日本",
        "count": 9007199254740993,
        "temperature": 20.5,
        "valid": True,
        "day": "2020-02-29",
        "measured_at": "1970-01-01T00:00:00.000",
        "local_time": "23:59:59.999999",
        "position": "POINT(10 20)",
    },
    {"site": "", "count": -(2**63), "temperature": -1e-300, "valid": False, "day": "0001-01-01"},
    {},
]

_numbers = itertools.count(1)


@pytest.fixture(autouse=True)
def client_environment(server: ServerProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the client reads to find the server."""
    monkeypatch.setenv("REDIVIS_API_ENDPOINT", server.url)
    monkeypatch.setenv("REDIVIS_API_TOKEN", server.token)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    assert os.environ["REDIVIS_API_ENDPOINT"].endswith("/api/v1")


@pytest.fixture
def dataset(server: ServerProcess) -> Iterator[Any]:
    """A dataset made by the client."""
    made = redivis.user(server.user).dataset(f"Client dataset {next(_numbers)}").create()
    yield made
    made.delete()


@pytest.fixture
def table(dataset: Any) -> Any:
    """A table made by the client."""
    return dataset.table("All measurements").create(description="what came in")


@pytest.fixture
def upload(table: Any) -> Any:
    """A typed stream made by the client."""
    return table.upload("my stream.v1").create(type="stream", schema=ALL_TYPES)


def test_current_user(server: ServerProcess) -> None:
    """The token's user is known."""
    assert redivis.current_user().name == server.user


def test_dataset_life(server: ServerProcess) -> None:
    """A dataset is created, found by any name it goes by, listed and deleted."""
    name = f"My Data: set {next(_numbers)}"
    dataset = redivis.user(server.user).dataset(name.replace(":", ""))
    assert not dataset.exists()
    dataset.create(public_access_level="none", description="about it")
    assert dataset.exists()
    assert dataset.get().properties["description"] == "about it"
    assert redivis.dataset(f"{server.user}.{dataset.scoped_reference}").exists()
    listed = [item.name for item in redivis.user(server.user).list_datasets()]
    assert dataset.name in listed
    with pytest.raises(exceptions.APIError):
        redivis.user(server.user).dataset(dataset.name.upper()).create()
    dataset.delete()
    assert not dataset.exists()
    with pytest.raises(exceptions.NotFoundError):
        dataset.get()


def test_dataset_without_owner_kind(server: ServerProcess) -> None:
    """`redivis.dataset("owner.name")` finds out by itself that the owner is a user."""
    dataset = redivis.dataset(f"{server.user}.unkinded_{next(_numbers)}").create()
    assert dataset.organization is None
    dataset.delete()


def test_table_life(dataset: Any) -> None:
    """A table is created, found, listed and deleted."""
    table = dataset.table("A table, of sorts")
    assert not table.exists()
    table.create(description="sorts")
    assert table.exists()
    assert table.get().properties["numRows"] == 0
    assert table.properties["container"]["kind"] == "dataset"
    assert [item.name for item in dataset.list_tables()] == ["A table, of sorts"]
    table.delete()
    assert not table.exists()


def test_upload_life(table: Any) -> None:
    """An upload is created, found although its name has dots and slashes, listed, replaced, deleted."""
    upload = table.upload("in/out v1.2").create(type="stream", schema=ALL_TYPES)
    assert upload.exists()
    upload.get()
    assert upload.properties["status"] == "completed"
    assert [item.name for item in table.list_uploads()] == ["in/out v1.2"]
    assert table.upload("in/out v1.2").exists()
    upload.insert_rows([{"site": "a"}])
    with pytest.raises(exceptions.ValueError):
        table.upload("in/out v1.2").create(type="stream")
    renamed = table.upload("in/out v1.2").create(type="stream", rename_on_conflict=True)
    assert renamed.properties["name"] != "in/out v1.2"
    replaced = table.upload("in/out v1.2").create(type="stream", schema=ALL_TYPES, replace_on_conflict=True)
    replaced.get()
    assert replaced.properties["numRows"] == 0
    upload.delete()
    assert not upload.exists()


def test_insert_answers_with_a_receipt(upload: Any, table: Any) -> None:
    """insert_rows returns the receipt, and numRows is exact at once."""
    receipt = upload.insert_rows(ROWS)
    expected = {"kind": "insertRowsResponse", "rowsAdded": 3, "rowsSkipped": 0, "schemaUpdates": []}
    assert {name: receipt[name] for name in expected} == expected
    assert (receipt["firstRow"], receipt["lastRow"]) == (0, 2)
    upload.insert_rows([{"site": "b"}])
    assert table.get().properties["numRows"] == 4


def test_insert_error_names_the_row(upload: Any) -> None:
    """What the client shows of a refused insert says which row and why."""
    with pytest.raises(exceptions.APIError, match=r'Row 1: variable "count" takes an integer'):
        upload.insert_rows([{}, {"count": "many"}])
    with pytest.raises(exceptions.APIError, match="NaN"):
        upload.insert_rows([{"temperature": float("nan")}])


def test_list_variables(upload: Any, table: Any) -> None:
    """Variables come in order, with their types, of the upload and of the table."""
    for parent in (upload, table):
        listed = [
            {"name": variable.name, "type": variable.properties["type"]}
            for variable in parent.list_variables()
        ]
        assert listed == ALL_TYPES
    assert table.variable("SITE").exists()
    assert not table.variable("nowhere").exists()


def expected_rows() -> list[dict[str, Any]]:
    """ROWS as Python values."""
    names = [item["name"] for item in ALL_TYPES]
    first = {
        **ROWS[0],
        "day": datetime.date(2020, 2, 29),
        "measured_at": datetime.datetime(1970, 1, 1),
        "local_time": datetime.time(23, 59, 59, 999999),
    }
    second = {**ROWS[1], "day": datetime.date(1, 1, 1)}
    return [{name: row.get(name) for name in names} for row in (first, second, {})]


def test_to_arrow_table(upload: Any, table: Any) -> None:
    """Rows read back as Arrow, of the table and of the upload, exactly as they went in."""
    upload.insert_rows(ROWS)
    for parent in (table, upload):
        arrow = parent.to_arrow_table(progress=False)
        assert arrow.to_pylist() == expected_rows()
        assert [str(field.type) for field in arrow.schema] == [
            "string", "int64", "double", "bool", "date32[day]", "timestamp[us]", "time64[us]", "string"
        ]  # fmt: skip


def test_to_pandas_dataframe(upload: Any, table: Any) -> None:
    """Rows read back as pandas, with chosen variables and a limit."""
    upload.insert_rows(ROWS)
    for parent in (table, upload):
        frame = parent.to_pandas_dataframe(progress=False, variables=["count", "site"], max_results=2)
        assert isinstance(frame, pandas.DataFrame)
        assert list(frame.columns) == ["count", "site"]
        assert frame["count"].tolist() == [9007199254740993, -(2**63)]


def test_to_polars_lazyframe(upload: Any, table: Any) -> None:
    """Rows read back as polars."""
    upload.insert_rows(ROWS)
    frame = table.to_polars_lazyframe(progress=False)
    assert isinstance(frame, polars.LazyFrame)
    assert frame.select("site").collect()["site"].to_list() == [ROWS[0]["site"], "", None]


def test_to_arrow_batch_iterator(upload: Any, table: Any) -> None:
    """Rows read back batch by batch."""
    upload.insert_rows([{"count": number} for number in range(1000)])
    for parent in (table, upload):
        batches = list(parent.to_arrow_batch_iterator(progress=False))
        assert all(isinstance(batch, pyarrow.RecordBatch) for batch in batches)
        numbers = [row["count"] for batch in batches for row in batch.to_pylist()]
        assert numbers == list(range(1000))


def test_to_read_streams(upload: Any) -> None:
    """A read session splits into streams that hold each row once."""
    upload.insert_rows([{"count": number} for number in range(1000)])
    upload.insert_rows([{"count": number} for number in range(1000, 2000)])
    streams = upload.to_read_streams(3, variables=["count"])
    numbers = [
        row["count"] for stream in streams for row in stream.to_arrow_table(progress=False).to_pylist()
    ]
    assert numbers == list(range(2000))


def test_parallel_reads_keep_the_order(upload: Any) -> None:
    """Every row arrives, in order, although the client reads an upload in parallel (twenty times over)."""
    upload.insert_rows([{"count": number} for number in range(50)])
    for _ in range(20):
        arrow = upload.to_arrow_table(progress=False, max_parallelization=8)
        assert arrow["count"].to_pylist() == list(range(50))


def test_empty_table(upload: Any, table: Any) -> None:
    """A stream without rows reads as an empty table with its variables."""
    for parent in (table, upload):
        assert parent.to_arrow_table(progress=False).num_rows == 0
        assert list(parent.to_pandas_dataframe(progress=False).columns) == [
            item["name"] for item in ALL_TYPES
        ]


def test_stream_without_schema(table: Any, upload: Any) -> None:
    """A second stream without a schema takes its variables from the rows, and both stack in the table."""
    upload.insert_rows([{"site": "typed", "count": 1}])
    second = table.upload("free").create(type="stream")
    second.insert_rows([{"site": "free", "extra": 1}])
    receipt = second.insert_rows([{"site": "freer", "extra": 1.5, "note": True}])
    assert receipt["schemaUpdates"] == [
        {
            "updatedVariables": [{"name": "extra", "type": "float", "previousType": "integer"}],
            "addedVariables": [{"name": "note", "type": "boolean"}],
        }
    ]
    assert table.get().properties["numRows"] == 3
    rows = table.to_arrow_table(progress=False).to_pylist()
    assert [(row["site"], row["count"], row["extra"], row["note"]) for row in rows] == [
        ("typed", 1, None, None),
        ("free", None, 1.0, None),
        ("freer", None, 1.5, True),
    ]
    assert second.to_arrow_table(progress=False).column_names == ["site", "extra", "note"]


def test_organization(server: ServerProcess) -> None:
    """An administrator creates a dataset of an organization."""
    organization = redivis.organization(server.organization)
    assert organization.exists()
    dataset = organization.dataset(f"of the organization {next(_numbers)}").create()
    assert dataset.exists()
    assert dataset.name in [item.name for item in organization.list_datasets()]
    dataset.delete()
    assert not redivis.organization("nobody_here").exists()


def test_statistics(upload: Any, table: Any) -> None:
    """Statistics come as the client asks for them, of tables and of uploads."""
    upload.insert_rows(ROWS)
    assert table.variable("count").get_statistics()["min"] == -(2**63)
    assert upload.variable("day").get_statistics()["count"] == 2


def test_rows_of_nothing_but_null_are_read(table: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every way of reading ends at once with the right count; else the client waits and asks again."""

    def no_waiting(_: float) -> None:
        pytest.fail("the client misses rows and asks again")

    monkeypatch.setattr("redivis.common.fetch_rows.time.sleep", no_waiting)
    upload = table.upload("empty").create(type="stream")
    upload.insert_rows([{"a": None, "b": None}, {"a": None}])
    for source in (table, upload):
        assert source.to_arrow_table().num_rows == 2
        frame = source.to_pandas_dataframe()
        assert (len(frame), list(frame.columns)) == (2, ["a", "b"])
        assert sum(batch.num_rows for batch in source.to_arrow_batch_iterator()) == 2
        assert len(source.to_polars_lazyframe().collect()) == 2
    with pytest.raises(exceptions.APIError, match="holds no value"):
        table.upload("none").create(type="stream").insert_rows([{}])


def test_names_of_a_schema_that_are_none(table: Any) -> None:
    """The client's own test creates such a stream; it works, warns, and takes rows by either name."""
    schema = [{"name": "_upload_name", "type": "string"}, {"name": "var.2", "type": "integer"}]
    with pytest.warns(UserWarning, match='"var.2" is var_2'):
        upload = table.upload("names").create(type="stream", schema=schema)
    upload.insert_rows([{"_upload_name": "a", "var.2": 1}, {"var_2": 2}])
    names = [variable.name for variable in upload.list_variables()]
    assert names[1] == "var_2"
    assert upload.to_pandas_dataframe()["var_2"].tolist() == [1, 2]


def test_a_number_for_a_string_variable(table: Any) -> None:
    """It is taken as the text that it has, as the client's own tests expect."""
    upload = table.upload("text").create(type="stream", schema=[{"name": "v", "type": "string"}])
    upload.insert_rows([{"v": 1}, {"v": 1.2}, {"v": True}, {"v": "a"}])
    assert table.to_arrow_table()["v"].to_pylist() == ["1", "1.2", "true", "a"]
