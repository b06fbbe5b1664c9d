"""Long inserts: rows in as they come, an ack a group, and whoever comes back goes on where it stopped."""

import json
import threading
from collections.abc import Callable
from typing import Any

import pytest

from tests.api.stream import Stream
from tests.command_line import rowkeep
from tests.long_producer import LongProducer
from tests.server_process import ServerProcess, wait_until

Opens = Callable[..., LongProducer]


@pytest.fixture
def opens(server: ServerProcess, stream: Stream) -> Opens:
    """Opens a long insert into the stream; with a key if one is given."""

    def open_(key: str | None = None, **query: str) -> LongProducer:
        headers = None if key is None else {"Idempotency-Key": key}
        return LongProducer(server.url, server.token, stream.upload_uri, headers, **query)

    return open_


def counts(numbers: range) -> list[dict[str, Any]]:
    """Rows that hold their numbers."""
    return [{"count": number} for number in numbers]


def stored(stream: Stream) -> list[int]:
    """The numbers that the stream holds."""
    return [row["count"] for row in stream.rows()]


def test_an_ack_for_each_group(stream: Stream, opens: Opens) -> None:
    """What is acknowledged can be read while the request goes on; an ack says what a 201 does and how far."""
    with opens() as producer:
        assert producer.opened() == 0
        for number in range(3):
            producer.send_rows(counts(range(2 * number, 2 * number + 2)))
            [ack] = producer.acks(2 * number + 2)
            assert stored(stream) == list(range(2 * number + 2))
            assert (ack["rowsAdded"], ack["firstRow"], ack["lastRow"]) == (2, 2 * number, 2 * number + 1)
            assert ack["commit"] == number + 1
        producer.end()
        assert producer.ending() == {"kind": "insertRowsEnded", "reason": "complete", "sequence": 6}
    again = stream.insert({"rows": counts(range(6, 8))}).json()
    assert set(ack) == {*again, "sequence"}


def test_rows_that_come_together_are_one_group(stream: Stream, opens: Opens) -> None:
    """Lines may be cut anywhere, be blank, end in CRLF; the last one may lack its end."""
    with opens() as producer:
        producer.opened()
        producer.send(b'{"count": 0}\n\n  \r\n{"count": 1}\r\n{"cou')
        assert [ack["rowsAdded"] for ack in producer.acks(2)] == [2]
        producer.send(b'nt": 2}')
        producer.end()
        assert [ack["rowsAdded"] for ack in producer.acks(3)] == [1]
        assert producer.ending()["reason"] == "complete"
    assert stored(stream) == [0, 1, 2]


def test_many_rows_go_in_as_fast_as_they_come(stream: Stream, opens: Opens) -> None:
    """A hundred thousand rows in some groups, in order; the acks add up."""
    with opens("k") as producer:
        producer.opened()
        for start in range(0, 100_000, 5_000):
            producer.send_rows(counts(range(start, start + 5_000)))
        producer.end()
        acks = producer.acks(100_000)
        assert sum(ack["rowsAdded"] for ack in acks) == 100_000
        assert [ack["firstRow"] for ack in acks[1:]] == [ack["lastRow"] + 1 for ack in acks[:-1]]
        assert [ack["commit"] for ack in acks] == list(range(1, len(acks) + 1))
        assert producer.ending()["sequence"] == 100_000
    assert stored(stream) == list(range(100_000))


def test_it_goes_on_where_it_stopped(stream: Stream, opens: Opens) -> None:
    """All rows once more, or those from the last ack on: what is in already is passed over."""
    with opens("k") as producer:
        producer.opened()
        producer.send_rows(counts(range(3)))
        producer.acks(3)
        producer.send(b'{"count": 3')  # and the connection breaks
    with opens("k") as producer:
        assert producer.opened() == 3
        producer.send_rows(counts(range(5)))
        [ack] = producer.acks(5)
        assert ack["rowsAdded"] == 2
        producer.end()
        assert producer.ending()["sequence"] == 5
    with opens("k", sequence="4") as producer:
        assert producer.opened() == 5
        producer.send_rows(counts(range(4, 6)))
        producer.acks(6)
    assert stored(stream) == list(range(6))
    [known] = [stream.client.get(f"{stream.upload_uri}/requests/k:000000000003").json()]
    assert (known["state"], known["firstRow"], known["lastRow"]) == ("stored", 3, 4)


def test_a_gap_is_refused(stream: Stream, opens: Opens) -> None:
    """Rows that begin behind what is in are not taken."""
    with opens("k", sequence="1") as producer:
        status, error = producer.refused()
    assert (status, error["error"]) == (409, "conflict")
    assert "first 0 rows" in error["error_description"]
    assert stored(stream) == []


def test_two_with_one_key(stream: Stream, opens: Opens) -> None:
    """What one has inserted the other does not: the same rows are a repeat, others are refused."""
    with opens("k") as first, opens("k") as second, opens("k") as third:
        assert [producer.opened() for producer in (first, second, third)] == [0, 0, 0]
        first.send_rows(counts(range(2)))
        acked = first.acks(2)
        second.send_rows(counts(range(2)))
        assert second.acks(2) == acked
        third.send_rows(counts(range(3)))
        ending = third.ending()
        assert (ending["reason"], ending["sequence"]) == ("refused", 0)
        assert ending["error"]["error"] == "idempotency_key_reused"
        second.send_rows(counts(range(2, 4)))
        second.acks(4)
    assert stored(stream) == list(range(4))


def test_a_bad_row_ends_it(stream: Stream, opens: Opens) -> None:
    """Its group is refused whole, with the row's number in the insert; mended, the rest goes in."""
    with opens("k") as producer:
        producer.opened()
        producer.send_rows(counts(range(2)))
        producer.acks(2)
        producer.send_rows([{"count": 2}, {"count": "three"}, {"count": 4}])
        ending = producer.ending()
    assert (ending["reason"], ending["sequence"]) == ("refused", 2)
    error = ending["error"]
    assert (error["status"], error["error"], error["errorCount"]) == (400, "invalid_request_error", 1)
    assert error["errors"][0]["row"] == 3
    assert error["errors"][0]["variable"] == "count"
    assert error["error_description"].startswith("Row 3: ")
    assert error["error_description"].endswith("No row from 2 on was inserted; those before are in.")
    with opens("k", sequence="2") as producer:
        assert producer.opened() == 2
        producer.send_rows(counts(range(2, 5)))
        producer.acks(5)
    assert stored(stream) == list(range(5))


def test_bad_rows_may_be_skipped(stream: Stream, opens: Opens) -> None:
    """They count as settled, in this request and for who comes back; the quarantine has them."""
    with opens("k", skipInvalidRows="true") as producer:
        producer.opened()
        producer.send_rows(counts(range(1)))
        producer.acks(1)
        producer.send_rows([{"count": "one"}, {"count": 2}])
        [ack] = producer.acks(3)
        assert (ack["rowsAdded"], ack["rowsSkipped"]) == (1, 1)
        assert ack["errors"][0]["row"] == 1
    with opens("k", skipInvalidRows="true") as producer:
        assert producer.opened() == 3
    assert stored(stream) == [0, 2]
    assert stream.client.get(stream.upload_uri).json()["badRecordsCount"] == 1


def test_rows_may_bring_variables(server: ServerProcess, growing: Stream) -> None:
    """Each group may change the schema, as a request may."""
    with LongProducer(server.url, server.token, growing.upload_uri) as producer:
        producer.opened()
        for number, row in enumerate([{"a": 1}, {"a": 1.5}, {"b": "x"}], 1):
            producer.send_rows([row])
            [ack] = producer.acks(number)
            assert len(ack["schemaUpdates"]) == 1
    assert growing.rows() == [{"a": 1.0, "b": None}, {"a": 1.5, "b": None}, {"a": None, "b": "x"}]


@pytest.mark.parametrize(
    ("headers", "query", "status", "says"),
    [
        ({"Content-Type": "application/json"}, {}, 415, "application/x-ndjson"),
        ({"Content-Encoding": "gzip"}, {}, 400, "Content-Encoding"),
        ({"Authorization": "Bearer nobody"}, {}, 401, "token"),
        ({}, {"acks": "yes"}, 400, "acks must be true or false"),
        ({}, {"validateOnly": "true"}, 400, "validateOnly"),
        ({}, {"offsetToken": "t"}, 400, "offsetToken"),
        ({}, {"sequence": "1"}, 400, "needs an Idempotency-Key"),
        ({"Idempotency-Key": "k"}, {"sequence": "-1"}, 400, "sequence is the number of a row"),
        ({"Idempotency-Key": "k" * 243}, {}, 400, "at most 242 characters"),
    ],
)
def test_what_cannot_be(
    server: ServerProcess,
    stream: Stream,
    headers: dict[str, str],
    query: dict[str, str],
    status: int,
    says: str,
) -> None:
    """Refused before a row is read, as by any insertRows, with a body that is still coming."""
    with LongProducer(server.url, server.token, stream.upload_uri, headers, **query) as producer:
        producer.send_rows(counts(range(1)))
        answered, error = producer.refused()
    assert (answered, error["status"]) == (status, status)
    assert says in error["error_description"]
    assert stored(stream) == []


def test_without_acks_it_is_a_request_as_any(stream: Stream) -> None:
    """`acks=false` asks for nothing: the answer is one receipt, not lines of acks."""
    path = f"{stream.upload_uri}/rows?acks=false"
    response = stream.client.post(
        path, content=b'{"count": 1}', headers={"Content-Type": "application/x-ndjson"}
    )
    assert (response.status_code, response.headers["content-type"]) == (201, "application/json")
    assert (response.json()["kind"], response.json()["rowsAdded"]) == ("insertRowsResponse", 1)
    assert stream.row_count() == 1


def test_a_row_that_is_too_long(stream: Stream, opens: Opens) -> None:
    """What was whole before it is in."""
    with opens() as producer:
        producer.opened()
        producer.send_rows(counts(range(1)))
        producer.acks(1)
        producer.send(b'{"site": "' + b"x" * 2**21)
        ending = producer.ending()
    assert (ending["sequence"], ending["error"]["error"]) == (1, "payload_too_large")
    assert stored(stream) == [0]


def test_a_token_that_is_revoked_meanwhile(server: ServerProcess, stream: Stream) -> None:
    """The next group is refused."""
    token = rowkeep("token", "create", "--user", server.user, data_dir=server.data_dir)
    last_line = rowkeep("token", "list", data_dir=server.data_dir).splitlines()[-1]
    with LongProducer(server.url, token, stream.upload_uri) as producer:
        producer.opened()
        producer.send_rows(counts(range(1)))
        producer.acks(1)
        rowkeep("token", "revoke", last_line.split()[0], data_dir=server.data_dir)
        producer.send_rows(counts(range(1, 2)))
        ending = producer.ending()
    assert (ending["sequence"], ending["error"]["error"]) == (1, "invalid_token")
    assert stored(stream) == [0]


def test_a_producer_that_reads_no_acks_cannot_run_ahead(stream: Stream, opens: Opens) -> None:
    """It is held back while its rows are committed, and what it sent is all in when it ends."""
    with opens() as producer:
        producer.opened()
        sender = threading.Thread(target=send_one_by_one, args=(producer, 2_000), daemon=True)
        sender.start()
        wait_until(lambda: stream.row_count() == 2_000)
        sender.join()
        acks = producer.acks(2_000)
        assert producer.ending()["sequence"] == 2_000
    assert sum(ack["rowsAdded"] for ack in acks) == 2_000


def send_one_by_one(producer: LongProducer, row_count: int) -> None:
    """Sends rows, each in a part of its own, and the end."""
    for number in range(row_count):
        producer.send(json.dumps({"count": number}).encode() + b"\n")
    producer.end()
