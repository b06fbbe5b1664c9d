"""`numBytes`: about what rows take in Arrow; clients choose by it how to read them. Contract 4.4."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.api.publishing import Json, Publication, Rows
from tests.api.stream import ALL_TYPES
from tests.server_process import ServerProcess

COUNT = 400
_MIXED: Json = {
    "site": "Zürich",
    "count": 120,
    "temperature": 20.25,
    "valid": True,
    "day": "2020-02-29",
    "measured_at": "2020-02-29T12:00:00",
    "local_time": "23:59:59",
    "position": "POINT(10 20)",
}
SHAPES: dict[str, tuple[list[Json] | None, Rows]] = {
    "two numbers": (None, [{"a": number, "b": number / 2} for number in range(COUNT)]),
    "large numbers": (None, [{"a": 10**18 + number} for number in range(COUNT)]),
    "all types": (ALL_TYPES, [_MIXED] * COUNT),
    "long texts": (None, [{"id": number, "text": "word " * 40} for number in range(COUNT)]),
    "long names": (None, [{"a_long_name_for_a_small_value_" * 2: "x"} for _ in range(COUNT)]),
    "booleans": (None, [{f"flag_{index}": True for index in range(20)} for _ in range(COUNT)]),
}


@pytest.fixture
def made(server: ServerProcess) -> Iterator[Publication]:
    """A data set."""
    publication = Publication(server)
    publication.add_table("answers")
    yield publication
    publication.close()


def ratio(made: Publication, resource: Json) -> float:
    """What a resource says of its size, against what its rows take in Arrow."""
    in_arrow = made.arrow(made.table("answers")).nbytes
    return float(resource["numBytes"] / in_arrow)


@pytest.mark.parametrize("shape", SHAPES)
def test_sizes_are_those_of_arrow(made: Publication, shape: str) -> None:
    """Within a half, whatever the rows are; the text that was sent is up to ten times as large."""
    schema, rows = SHAPES[shape]
    upload = made.add_upload("answers", "live", rows, schema)
    assert 0.6 < ratio(made, made.done("GET", made.table("answers"))) < 1.5
    assert 0.6 < ratio(made, made.done("GET", upload["uri"])) < 1.5


def test_two_numbers_are_sixteen_bytes(made: Publication) -> None:
    """Types of one width are counted exactly, whatever their text is."""
    made.add_upload("answers", "live", [{"a": 1, "b": 0.1}, {"a": 10**15, "b": 1e-300}])
    assert made.done("GET", made.table("answers"))["numBytes"] == 2 * 16


def test_what_is_not_shown_counts_for_nothing(made: Publication) -> None:
    """An empty table has 0 bytes, and so have rows that were undone."""
    assert made.done("GET", made.table("answers"))["numBytes"] == 0
    upload = made.done("POST", f"{made.table('answers')}/uploads", {"name": "live", "type": "stream"})
    insert(made, upload, "first", [{"a": 1}])
    insert(made, upload, "second", [{"a": 2}, {"a": 3}])
    made.done("DELETE", f"{upload['uri']}/requests/second")
    assert made.done("GET", upload["uri"])["numBytes"] == 8


def insert(made: Publication, upload: Json, key: str, rows: list[dict[str, Any]]) -> None:
    """Inserts rows under a key."""
    answer = made.client.post(f"{upload['uri']}/rows", json={"rows": rows}, headers={"Idempotency-Key": key})
    assert answer.status_code == 201, answer.text
