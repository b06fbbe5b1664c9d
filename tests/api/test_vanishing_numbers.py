"""Numbers so small that a double makes them zero: an error of their row, whatever carries them."""

from decimal import Decimal

import pytest

from rowkeep.client import RowStream
from tests.api.stream import Stream
from tests.server_process import ServerProcess

LINES = "application/x-ndjson"


@pytest.mark.parametrize("text", ["1e-400", "-1E-400", "0.1e-399"])
def test_it_is_refused_by_row_and_variable(stream: Stream, text: str) -> None:
    """As JSON, as lines, in a long insert; the rows before it in a request are not inserted either."""
    good, bad = '{"temperature":0.0}', '{"temperature":' + text + "}"
    path = f"{stream.upload_uri}/rows"
    refused = [
        stream.insert(f'{{"rows":[{good},{bad}]}}'.encode()),
        stream.client.post(path, content=f"{good}\n{bad}\n", headers={"Content-Type": LINES}),
    ]
    for answer in refused:
        (error,) = answer.json()["errors"]
        assert (answer.status_code, error["row"], error["variable"]) == (400, 1, "temperature")
        assert "so small that a float would make it 0" in error["message"]
    long = stream.client.post(f"{path}?acks=true", content=f"{bad}\n", headers={"Content-Type": LINES})
    assert "so small that a float would make it 0" in long.text
    assert stream.row_count() == 0
    kept = stream.insert(f'{{"rows":[{good},{bad}],"skipInvalidRows":true}}'.encode())
    assert (kept.json()["rowsAdded"], kept.json()["rowsSkipped"]) == (1, 1)


def test_a_decimal_of_a_program(stream: Stream, server: ServerProcess) -> None:
    """RowStream sends its digits, and the server names the row."""
    table = stream.table_uri.removeprefix("/tables/")
    with RowStream(server.url, server.token, table, "s", on_error="skip") as rows:
        rows.append({"temperature": Decimal("1E-400")})
        rows.append({"temperature": Decimal("0E-400"), "count": Decimal("9007199254740993E0")})
    assert [(row.get("temperature"), row.get("count")) for row in stream.rows()] == [(0.0, 9007199254740993)]
