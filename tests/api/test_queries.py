"""Queries over the API: what they see, what is kept of them, who may ask. The SQL itself is in tests/sql."""

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from rowkeep.model.jobs import JobKind
from rowkeep.model.queries import result_upload_id
from rowkeep.model.resources import Segment
from rowkeep.storage.catalog.catalog import CatalogEditor
from rowkeep.storage.catalog.jobs import Lease, NewJob
from rowkeep.storage.sqlite import SqliteDatabase
from tests import plain_http
from tests.api.querying import QueryClient
from tests.api.stream import ALL_TYPES, Stream
from tests.server_process import ServerProcess, wait_until

ROW = {
    "site": "a",
    "count": 1,
    "temperature": 1.5,
    "valid": True,
    "day": "2024-01-31",
    "measured_at": "2024-01-31T12:00:00.25",
    "local_time": "12:00:00",
    "position": "POINT(1 2)",
}


@pytest.fixture
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
    """The table's reference, in backticks."""
    reference: str = stream.client.get(stream.table_uri).json()["qualifiedReference"]
    return f"`{reference}`"


def test_a_query_has_its_rows_and_what_is_said_of_them(stream: Stream, queries: QueryClient) -> None:
    """The resource has every key; the rows, the variables and the statistics are those of the result."""
    query = queries.send(f"SELECT * EXCEPT (_upload_name) FROM {table_of(stream)} ORDER BY count")
    assert query["status"] == "completed", query["errorMessage"]
    assert query["kind"] == "query"
    assert query["uri"] == f"/queries/{query['id']}"
    assert query["outputNumRows"] == 2
    assert query["outputNumBytes"] > 0
    assert [(each["name"], each["type"]) for each in query["outputSchema"]] == [
        (each["name"], each["type"]) for each in ALL_TYPES
    ]
    assert query["finishedAt"] >= query["createdAt"]
    assert stream.client.get(query["uri"]).json() == query
    variables = stream.client.get(f"{query['uri']}/variables").json()
    assert [each["name"] for each in variables["results"]] == [each["name"] for each in ALL_TYPES]
    statistics = stream.client.get(f"{query['uri']}/variables/count/statistics").json()
    assert (statistics["status"], statistics["count"], statistics["max"]) == ("completed", 2, 2)
    rows = stream.client.get(f"{query['uri']}/rows").text.splitlines()
    assert json.loads(rows[0]) == stream.rows()[0]
    session = stream.client.post(f"{query['uri']}/readSessions", json={"format": "csv"}).json()
    assert session["numRows"] == 2
    body = stream.client.get(f"/readStreams/{session['streams'][0]['id']}").text
    assert body.splitlines()[0].startswith('"site"')


def test_a_row_that_was_answered_is_in_the_next_query(stream: Stream, queries: QueryClient) -> None:
    """Whatever is in the journal is seen, at once."""
    table = table_of(stream)
    for count in range(3, 8):
        assert stream.insert({"rows": [{"count": count}]}).status_code == 201
        assert queries.rows(f"SELECT COUNT(*), MAX(count) FROM {table}") == [[count, count]]


def test_undone_rows_are_left_out(stream: Stream, queries: QueryClient) -> None:
    """Rows of a request that was undone are in no query after that."""
    stream.insert({"rows": [{"count": 50}]}, **{"Idempotency-Key": "k"})
    stream.insert({"rows": [{"count": 60}]})
    assert stream.client.delete(f"{stream.upload_uri}/requests/k").status_code == 200
    assert queries.rows(f"SELECT count FROM {table_of(stream)} ORDER BY 1") == [[1], [2], [60]]


def test_a_wider_type_keeps_what_was(server: ServerProcess) -> None:
    """Values from before a variable was widened have the text that every reader sees."""
    stream = Stream(server.url, server.token, [{"name": "v", "type": "float"}], server.user)
    stream.insert({"rows": [{"v": 1}, {"v": 1e16}, {"v": 0.1}]})
    stream.insert({"rows": [{"v": "x"}], "updateSchema": True})
    rows = QueryClient(stream.client).rows(f"SELECT v FROM {table_of(stream)}")
    assert rows == [[row["v"]] for row in stream.rows()]
    stream.close()


def test_names_of_tables(stream: Stream, queries: QueryClient) -> None:
    """References are those of the API, in any case, with a default data set, and each upload by its name."""
    table = stream.client.get(stream.table_uri).json()
    dataset = stream.client.get(stream.dataset_uri).json()
    for name in (table["qualifiedReference"], table["qualifiedReference"].upper()):
        assert queries.rows(f"SELECT COUNT(*) FROM `{name}`") == [[2]]
    default = dataset["qualifiedReference"]
    assert queries.rows("SELECT COUNT(*) FROM measurements", defaultDataset=default) == [[2]]
    assert queries.rows(f"SELECT DISTINCT _upload_name FROM `{table['qualifiedReference']}`") == [["s"]]
    message = queries.refusal("SELECT 1\nFROM `demo.nothing.at_all`")
    assert message.startswith("Line 2, column 6: There is no dataset demo.nothing")
    assert "defaultDataset" in queries.refusal("SELECT 1 FROM measurements")


def test_what_is_wrong_is_said_with_its_place(queries: QueryClient) -> None:
    """A refusal names line and column and what to do; nothing of the server is in it."""
    assert queries.refusal("SELECT\n  nope") == "Line 2, column 3: Unrecognized name: nope."
    assert "DROP is not supported" in queries.refusal("DROP TABLE x")
    assert queries.refusal("SELECT 1 / 0") == "division by zero"
    assert "DATE" in queries.refusal("SELECT DATE '2024-02-30'")


def test_parameters_and_the_bounds_of_a_request(queries: QueryClient) -> None:
    """Parameters are values; what cannot be a query is answered with 400."""
    assert queries.rows("SELECT @a + 1, @b", parameters={"a": 1, "b": "x'y"}) == [[2, "x'y"]]
    assert queries.rows("SELECT ?", parameters=[[1, 2]]) == [["[1,2]"]]
    for body in (
        {},
        {"query": " "},
        {"query": "SELECT 1", "timeoutMs": 60_001},
        {"query": "SELECT 1", "dialect": "oracle"},
        {"query": "SELECT 1 -- " + "x" * 256_000},
    ):
        assert queries.client.post("/queries", json=body).status_code == 400


def test_queries_are_their_callers_alone(server: ServerProcess, queries: QueryClient) -> None:
    """Nobody sees another's query; without a token there are none."""
    query = queries.send("SELECT 1 AS one")
    listed = queries.client.get("/queries?maxResults=1").json()
    assert [each["id"] for each in listed["results"]] == [query["id"]]
    older = queries.client.get("/queries", params={"pageToken": listed["nextPageToken"]}).json()
    assert query["id"] not in [each["id"] for each in older["results"]]
    with httpx.Client(base_url=server.url, trust_env=False) as anonymous:
        assert anonymous.get(query["uri"]).status_code == 401
        assert anonymous.post("/queries", json={"query": "SELECT 1"}).status_code == 401
    assert queries.client.get("/queries/none").status_code == 404


def test_a_query_that_takes_long_is_left_and_cancelled(queries: QueryClient) -> None:
    """`timeoutMs` ends the wait, not the query; cancelling ends the query."""
    many = "UNNEST(GENERATE_ARRAY(1, 1000000))"
    long = f"SELECT SUM(MOD(a * b, 7)) FROM {many} a CROSS JOIN {many} b"
    query = queries.send(long, timeoutMs=0)
    assert query["status"] in ("queued", "running")
    assert query["outputNumRows"] is None
    rows = queries.client.get(f"{query['uri']}/rows")
    assert rows.status_code == 400
    cancelled = queries.client.post(f"{query['uri']}/cancel").json()
    assert cancelled["status"] == "cancelled"
    assert queries.client.get(query["uri"]).json()["status"] == "cancelled"
    assert queries.rows("SELECT 1") == [[1]]


def test_an_empty_result_is_one(stream: Stream, queries: QueryClient) -> None:
    """A result without rows has its variables, and can be read."""
    query = queries.send(f"SELECT site FROM {table_of(stream)} WHERE FALSE")
    assert (query["outputNumRows"], query["outputNumBytes"]) == (0, 0)
    session = stream.client.post(f"{query['uri']}/readSessions", json={}).json()
    assert (session["numRows"], len(session["streams"])) == (0, 1)
    assert stream.client.get(f"{query['uri']}/rows?format=csv").text == '"site"\n'


def test_a_segment_that_the_disk_has_changed_is_an_error(tmp_path: Path) -> None:
    """The first query over a segment checks all of it, and so does one after the file was written to."""
    server = ServerProcess(tmp_path / "data", seal_bytes_min="1", seal_minutes_max="0.001")
    server.start()
    stream = Stream(server.url, server.token, ALL_TYPES, server.user)
    stream.insert({"rows": [{**ROW, "count": number} for number in range(2_000)]})
    segments = server.data_dir / "segments"
    wait_until(lambda: list(segments.glob("*.parquet")))
    [file] = segments.glob("*.parquet")
    queries = QueryClient(stream.client)
    query = f"SELECT SUM(count) FROM {table_of(stream)}"
    data = bytearray(file.read_bytes())
    data[len(data) // 3] ^= 1
    file.write_bytes(data)
    assert "was changed on disk" in queries.refusal(query)
    data[len(data) // 3] ^= 1
    file.write_bytes(data)
    for _ in range(2):
        assert queries.rows(query) == [[1_999_000]]
    data[len(data) // 3] ^= 1
    file.write_bytes(data)
    assert "was changed on disk" in queries.refusal(query)
    stream.close()
    assert server.stop() == 0
    server.close()


def test_results_outlive_a_restart(tmp_path: Path) -> None:
    """A query that was completed is there after a kill, with its rows; one that ran begins again."""
    server = ServerProcess(tmp_path / "data")
    server.start()
    stream = Stream(server.url, server.token, ALL_TYPES, server.user)
    queries = QueryClient(stream.client)
    query = queries.send("SELECT 1 AS one, 'x' AS text")
    running = queries.send("SELECT COUNT(*) FROM UNNEST(GENERATE_ARRAY(1, 1000000)) x", timeoutMs=0)
    stream.close()
    server.kill()
    server.start()
    again = plain_http.client(base_url=server.url, headers={"Authorization": f"Bearer {server.token}"})
    assert again.get(query["uri"]).json() == query
    assert again.get(f"{query['uri']}/rows").json() == {"one": 1, "text": "x"}
    wait_until(lambda: again.get(running["uri"]).json()["status"] == "completed")
    assert again.get(f"{running['uri']}/rows").json() == {"f0_": 1_000_000}
    again.close()
    assert server.stop() == 0
    server.close()


def test_the_room_of_results_is_bounded(tmp_path: Path) -> None:
    """What a user's results take is counted, and goes down when they expire."""
    database = SqliteDatabase(tmp_path / "rowkeep.db")
    with database.writing() as connection:
        editor = CatalogEditor(connection)
        job = editor.jobs.add(NewJob(JobKind.QUERY, 7, "{}"))
        segment = Segment(result_upload_id(job.id), 0, 1, 10, 1, "-1-0-00000000.parquet", 1_234)
        editor.segments.name_result(segment)
        assert (editor.queries.result_bytes(7), editor.queries.result_bytes(8)) == (1_234, 0)
        editor.jobs.begin(job.id, Lease("h", 2**60))
        assert editor.jobs.complete(job.id, "h", "{}")
        assert editor.queries.expire(0) == 0
        assert editor.queries.expire(2**60) == 1
        assert editor.queries.result_bytes(7) == 0
        assert editor.uploads.forgettable(0, 10) == [result_upload_id(job.id)]
    database.close()


@pytest.mark.parametrize(
    ("sql", "kind"),
    [
        ("SELECT CAST('secret' AS INT64)", "ValueError in a function"),
        ("SELECT 9223372036854775807 * 4711", "Out of Range Error"),
        ("SELECT ERROR('secret')", "Error"),
        ("SELECT secret FROM", "it is not valid, or asks for what is not served"),
    ],
)
def test_the_log_says_of_what_kind_a_failure_is(
    server: ServerProcess, queries: QueryClient, sql: str, kind: str
) -> None:
    """And nothing of what the query says or reads."""
    before = len(server.log())
    query = queries.send(sql)
    assert query["status"] == "failed", query
    said = [json.loads(line) for line in server.log()[before:].splitlines() if "a job failed" in line]
    (line,) = [line for line in said if line["job"] == query["id"]]
    assert kind in line["detail"]
    assert not any(word in json.dumps(line) for word in ("secret", "4711"))
