"""Variable statistics over HTTP, as clients ask for them. Source: contract 4.6."""

import threading
import time
from typing import Any

import pytest

from tests import plain_http
from tests.api.pings import held_up_share, pinged
from tests.api.stream import ALL_TYPES, Stream
from tests.server_process import ServerProcess

ROW = {
    "site": "Zurich",
    "count": 3,
    "temperature": 21.5,
    "valid": True,
    "day": "2026-01-31",
    "measured_at": "2026-01-31T12:00:00.000",
    "local_time": "12:00:00",
    "position": "POINT(8.54 47.37)",
}
KEYS = {
    "kind", "uri", "url", "variable", "status", "count", "numDistinct", "min", "max", "mean", "approxMedian",
    "stdDev", "frequencyDistribution", "geoCentroid", "geoBBox",
}  # fmt: skip


def statistics_of(stream: Stream, uri: str, name: str) -> dict[str, Any]:
    """Asks until the statistics are there."""
    deadline = time.monotonic() + 60
    while True:
        response = stream.client.get(f"{uri}/variables/{name}/statistics")
        assert response.status_code == 200, response.text
        answer: dict[str, Any] = response.json()
        assert answer.keys() == KEYS
        if answer["status"] != "running":
            return answer
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.mark.parametrize("name", [variable["name"] for variable in ALL_TYPES])
def test_every_type_has_statistics(stream: Stream, name: str) -> None:
    """Table and upload tell the same of the same rows, whatever the case of the name."""
    stream.insert({"rows": [ROW, {}, ROW]})
    of_table = statistics_of(stream, stream.table_uri, name.upper())
    of_upload = statistics_of(stream, stream.upload_uri, name)
    different = {"uri", "url"}
    assert {key: of_table[key] for key in KEYS - different} == {
        key: of_upload[key] for key in KEYS - different
    }
    assert (of_table["status"], of_table["count"], of_table["numDistinct"]) == ("completed", 2, 1)
    assert of_table["variable"]["name"] == name


def test_figures_and_labels(stream: Stream) -> None:
    """Values carry the labels that were given to them, also after the figures were computed."""
    stream.insert({"rows": [{"count": 1}, {"count": 1}, {"count": 4}]})
    before = statistics_of(stream, stream.table_uri, "count")
    assert (before["min"], before["max"], before["mean"]) == (1, 4, 2.0)
    assert [entry["label"] for entry in before["frequencyDistribution"]] == [None, None]
    labels = {"valueLabels": [{"value": "1", "label": "once"}]}
    assert stream.client.patch(f"{stream.table_uri}/variables/count", json=labels).status_code == 200
    after = statistics_of(stream, stream.table_uri, "count")
    assert after["frequencyDistribution"] == [
        {"value": "1", "count": 2, "label": "once"},
        {"value": "4", "count": 1, "label": None},
    ]


def test_statistics_follow_the_content(stream: Stream) -> None:
    """The figures are those of all rows answered with 201, of every upload, in the type that holds all."""
    stream.insert({"rows": [{"count": 1}]})
    assert statistics_of(stream, stream.table_uri, "count")["count"] == 1
    stream.insert({"rows": [{"count": 2}]})
    assert statistics_of(stream, stream.table_uri, "count")["count"] == 2
    schema = [{"name": "Count", "type": "float"}]
    other = stream.post(f"{stream.table_uri}/uploads", {"name": "t", "type": "stream", "schema": schema})
    stream.client.post(f"{other['uri']}/rows", json={"rows": [{"count": 0.5}]})
    found = statistics_of(stream, stream.table_uri, "count")
    assert (found["count"], found["min"], found["variable"]["type"]) == (3, 0.5, "float")


def test_refusals(stream: Stream, server: ServerProcess) -> None:
    """Who may not see the variable, and a variable that is none."""
    path = f"{stream.table_uri}/variables/count/statistics"
    assert stream.client.get(f"{stream.table_uri}/variables/none/statistics").status_code == 404
    assert stream.client.head(path).status_code == 200
    assert plain_http.get(f"{server.url}{path}").status_code == 401


@pytest.mark.alone
def test_a_large_column_does_not_hold_up_others(server: ServerProcess) -> None:
    """While half a million rows are summed up, the server answers others at once."""
    stream = Stream(server.url, server.token, [{"name": "n", "type": "integer"}], server.user)
    for start in range(0, 500_000, 50_000):
        stream.insert({"rows": [{"n": number} for number in range(start, start + 50_000)]})
    found: list[dict[str, Any]] = []
    thread = threading.Thread(target=lambda: found.append(statistics_of(stream, stream.table_uri, "n")))
    thread.start()
    with pinged(server) as pauses:
        thread.join()
    assert (found[0]["count"], found[0]["max"], found[0]["frequencyDistribution"]) == (500_000, 499_999, None)
    assert held_up_share(pauses) < 0.5
    stream.close()
