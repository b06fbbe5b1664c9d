"""Results of queries, small and large: their rows are whole, and nothing is left of what made them."""

from pathlib import Path

import pytest

from rowkeep.workers.held_file import HELD_BYTES_MAX
from tests.api.querying import QueryClient
from tests.api.stream import Stream
from tests.server_process import ServerProcess, wait_until


@pytest.mark.parametrize("row_count", [0, 1, 1000, 400_000])
def test_results_of_every_size_are_whole(server: ServerProcess, row_count: int) -> None:
    """A small result is sent by its worker and a large one is moved: both are read alike, and after that
    neither a folder of a query nor an unfinished file is left.
    """
    stream = Stream(server.url, server.token, [{"name": "v", "type": "integer"}], server.user)
    queries = QueryClient(stream.client)
    before = set(_segments(server.data_dir))
    many = "UNNEST(GENERATE_ARRAY(1, 1000))"
    text = f"SELECT a * 1000 + b AS v FROM {many} AS a, {many} AS b WHERE a * 1000 + b < {1001 + row_count}"
    query = queries.send(text)
    assert query["status"] == "completed", query["errorMessage"]
    assert query["outputNumRows"] == row_count
    lines = stream.client.get(f"{query['uri']}/rows", params={"format": "csv"}).text.splitlines()[1:]
    assert sorted(map(int, lines)) == list(range(1001, 1001 + row_count))
    wait_until(lambda: not list((server.data_dir / "jobs").iterdir()))
    if row_count == 400_000:
        new = set(_segments(server.data_dir)) - before
        assert max(file.stat().st_size for file in new) > HELD_BYTES_MAX
    assert not [file for file in _segments(server.data_dir) if not file.name.endswith(".parquet")]
    stream.close()


def _segments(data_dir: Path) -> list[Path]:
    return list((data_dir / "segments").iterdir())
