"""A running server seals and compacts by itself, in its sealing process, and readers see no difference."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import plain_http
from tests.api.stream import ALL_TYPES, Stream
from tests.server_process import ServerProcess, wait_until

ROUNDS = 9


@pytest.fixture
def sealing_server(tmp_path: Path) -> Iterator[ServerProcess]:
    """A running server that seals whatever there is."""
    started = ServerProcess(
        tmp_path / "data", seal_bytes_min="16", seal_minutes_max="0.0001", journal_bytes_max="1"
    )
    started.start()
    yield started
    started.close()


def metric(server: ServerProcess, name: str) -> float:
    """A figure of the server's."""
    text = plain_http.get(server.url.removesuffix("/api/v1") + "/metrics").text
    found = re.search(rf"^{name} (\S+)$", text, re.MULTILINE)
    assert found is not None
    return float(found[1])


def test_a_server_seals_and_compacts(sealing_server: ServerProcess) -> None:
    """Row after row leaves the journal, small segments become one, and after a restart all are there."""
    stream = Stream(sealing_server.url, sealing_server.token, ALL_TYPES, sealing_server.user)
    for number in range(ROUNDS):
        assert stream.insert({"rows": [{"count": number}]}).status_code == 201
        wait_until(lambda sealed=number: metric(sealing_server, "rowkeep_rows_sealed_total") > sealed)
    wait_until(lambda: metric(sealing_server, "rowkeep_segments_compacted_total") >= 8)
    assert [row["count"] for row in stream.rows()] == list(range(ROUNDS))
    stream.close()
    assert sealing_server.stop() == 0
    sealing_server.start()
    again = plain_http.get(
        f"{sealing_server.url}{stream.table_uri}/rows?format=csv&selectedVariables=count",
        headers={"Authorization": f"Bearer {sealing_server.token}"},
    )
    assert again.text.splitlines()[1:] == [str(number) for number in range(ROUNDS)]
