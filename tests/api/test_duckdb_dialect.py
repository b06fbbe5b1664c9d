"""Queries in DuckDB's own dialect: the same tables, the same walls, another language."""

from collections.abc import Iterator

import pytest

from tests.api.querying import QueryClient
from tests.api.stream import ALL_TYPES, Stream
from tests.api.test_queries import ROW
from tests.server_process import ServerProcess


@pytest.fixture(scope="module")
def stream(server: ServerProcess) -> Iterator[Stream]:
    """A stream with all types and two rows."""
    made = Stream(server.url, server.token, ALL_TYPES, server.user)
    made.insert({"rows": [ROW, {"site": "b", "count": 2}]})
    yield made
    made.close()


@pytest.fixture
def queries(stream: Stream) -> QueryClient:
    """Queries as the owner of the stream."""
    return QueryClient(stream.client)


def table_of(stream: Stream) -> str:
    """The table's reference, in double quotes."""
    reference: str = stream.client.get(stream.table_uri).json()["qualifiedReference"]
    return f'"{reference}"'


def test_tables_and_types(stream: Stream, queries: QueryClient) -> None:
    """Tables are named in double quotes; what DuckDB has more of types becomes one of the eight."""
    table = table_of(stream)
    rows = queries.rows(f"FROM {table} SELECT site, count ORDER BY count", dialect="duckdb")
    assert rows == [["a", 1], ["b", 2]]
    assert queries.rows(
        f"SELECT sum(count), 1.5, [1, 2], {{'a': 1}}, TIMESTAMPTZ '2024-01-01 01:00:00+01' AS t FROM {table}",
        dialect="duckdb",
    ) == [[3, 1.5, "[1,2]", '{"a":1}', "2024-01-01 00:00:00"]]
    assert queries.rows(
        f"WITH d0 AS (SELECT 42 AS count) SELECT m.count FROM {table} m, d0 ORDER BY 1", dialect="duckdb"
    ) == [[1], [2]]
    assert queries.rows("SELECT ST_AsText(ST_Point(1, 2)) AS p", dialect="duckdb") == [["POINT (1 2)"]]


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("SELECT * FROM read_csv('/etc/passwd')", "read_csv is not supported"),
        ("SELECT * FROM '/etc/passwd'", "Line 1, column 15: Write `owner.dataset"),
        ("SELECT * FROM 'a.b/c.parquet'", "Line 1"),
        ("SELECT getenv('HOME')", "getenv is not supported"),
        ("SELECT current_setting('temp_directory')", "current_setting is not supported"),
        ("SELECT * FROM duckdb_settings()", "duckdb_settings is not supported"),
        ("SELECT * FROM query('SELECT 1')", "query is not supported"),
        ("COPY (SELECT 1) TO '/tmp/x'", "A query reads"),
        ("SELECT 1; SELECT 2", "one statement"),
        ("DESCRIBE SELECT 1", "SHOW REF is not supported"),
        (
            "WITH RECURSIVE r AS (SELECT 1 AS a UNION ALL SELECT a + 1 FROM r) SELECT * FROM r",
            "RECURSIVE CTE",
        ),
        ("SELECT\n  1 +", "Line 2, column 6: The query cannot be parsed"),
        ("SELECT * FROM main.d0", "is not a table reference"),
        ("SELECT * FROM information_schema.tables", "is not a table reference"),
        ("SELECT ?", "PARAMETER is not supported"),
        ("SELECT 'a'::BLOB", "BLOB"),
    ],
)
def test_what_is_refused(queries: QueryClient, sql: str, message: str) -> None:
    """What reads anything but tables is refused by name, with its place."""
    assert message in queries.refusal(sql, dialect="duckdb")
