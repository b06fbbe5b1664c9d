"""The client's small parts by themselves: waits, paths, addresses, what an answer means, rows taken out."""

import email.utils
import json
import threading
import time
from collections.abc import Sequence
from urllib.parse import unquote

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as some

from rowkeep.client.batches import Batch, _without, frame, frame_joined, insert_fitting, insert_whole, rows_of
from rowkeep.client.connection import Address, Answer, parse_address, table_path, upload_path
from rowkeep.client.errors import (
    InsertError,
    Reason,
    RefusedRow,
    RequestRefused,
    RowsRefused,
    ServerUnreachable,
    gather_refused,
)
from rowkeep.client.patience import Patience, RetryPolicy
from rowkeep.client.retrying import (
    REPEATED,
    RETRY_AFTER_SECONDS_MAX,
    Receipt,
    RowErrors,
    _receipt,
    _retry_after,
)


def answer(status: int, body: object = b"", **headers: str) -> Answer:
    """An answer with a body of bytes or, else, of JSON."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Answer(status, {name.replace("_", "-"): value for name, value in headers.items()}, content)


def refusal(status: int, **more: object) -> Answer:
    """A refusal as the server words it."""
    said = {"status": status, "error": "some_code", "error_description": "It says why."}
    return answer(status, {**said, **more})


# How long to wait.


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0), ("1", 1), (" 7 ", 7), ("007", 7), ("119", 119), ("120", 120), ("121", 120),
        ("9" * 400, 120), ("", 0), ("-1", 0), ("1.5", 0), ("soon", 0), ("1 s", 0), ("²", 0), ("٣", 0),
        ("1_0", 0), ("Fri, 01 Jan 99999999 00:00:00 GMT", 0), ("1 Jan 99999999999999999999 1:1:1 GMT", 0),
        ("Fri, 01 Jan 1999 00:00:00 GMT", 0), ("Fri, 01 Jan 2100 00:00:00 GMT", 120),
    ],
)  # fmt: skip
def test_retry_after(text: str, seconds: float) -> None:
    """Whole seconds or a moment, at most two minutes; whatever else it may say is no wait."""
    assert _retry_after(answer(503, retry_after=text)) == seconds


def test_retry_after_without_the_header_and_at_a_moment() -> None:
    """Without it there is no wait; a moment is counted from now."""
    assert _retry_after(answer(503)) == 0
    moment = email.utils.formatdate(time.time() + 60, usegmt=True)
    assert 0 < _retry_after(answer(503, retry_after=moment)) <= 60


@given(some.text(max_size=40) | some.from_regex(r"\w{3}, \d+ \w{3} \d+ \d+:\d+:\d+ .*", fullmatch=True))
def test_no_retry_after_breaks_a_client(text: str) -> None:
    """Any text is some wait within the bounds."""
    assert 0 <= _retry_after(answer(503, retry_after=text)) <= RETRY_AFTER_SECONDS_MAX


class Pauses(threading.Event):
    """A flag that nobody sets; remembers how long it was waited for, and does not wait."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        assert timeout is not None
        self.seconds.append(timeout)
        return self.is_set()


def test_waits_double_up_to_a_bound() -> None:
    """Each is drawn up to twice the one before; what the server asks for is the least."""
    drawn: list[list[float]] = []
    for _ in range(200):
        pauses = Pauses()
        patience = Patience(RetryPolicy(wait_seconds_min=1, wait_seconds_max=8), pauses, lambda _: None)
        for _ in range(6):
            patience.wait("busy")
        drawn.append(pauses.seconds)
    for bound, seconds in zip((1, 2, 4, 8, 8, 8), zip(*drawn, strict=True), strict=True):
        assert bound / 2 < max(seconds) <= bound
        assert min(seconds) < bound / 2
    pauses = Pauses()
    Patience(RetryPolicy(wait_seconds_min=1), pauses, lambda _: None).wait("busy", 100)
    assert pauses.seconds == [100]


def test_patience_ends() -> None:
    """A wait beyond the time is not begun; one that a stop interrupts is the last."""
    pauses = Pauses()
    patience = Patience(RetryPolicy(seconds_max=50), pauses, lambda _: None)
    patience.wait("busy", 40)
    with pytest.raises(ServerUnreachable, match=r"within 50 seconds.*busy"):
        patience.wait("busy", 60)
    assert pauses.seconds == [40]
    pauses.set()
    with pytest.raises(ServerUnreachable, match="stopped"):
        Patience(RetryPolicy(), pauses, lambda _: None).wait("busy")


# Where to.


@pytest.mark.parametrize(
    "name",
    ["plain", "a b", "a/b", "a.b:c", "..", ".", "%2F", "a%b", "?x=1", "#", "ä€😀", "a\nb", "\\", "+", "&"],
)
def test_any_name_is_one_part_of_a_path(name: str) -> None:
    """Whatever stands in a name, the path has the same parts, and reads back as the name."""
    for path, at in ((table_path(name), [2]), (upload_path(name, name), [2, 4])):
        parts = path.split("/")
        assert [parts[index] for index in range(len(parts)) if index not in at] == (
            ["", "tables"] if len(at) == 1 else ["", "tables", "uploads"]
        )
        assert [unquote(parts[index]) for index in at] == [name] * len(at)
        assert path.isascii()
        assert not set(path) & set(" ?#\n")


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("http://127.0.0.1:8080/api/v1", Address(False, "127.0.0.1", 8080, "/api/v1")),
        ("http://127.0.0.1:8080/api/v1/", Address(False, "127.0.0.1", 8080, "/api/v1")),
        ("https://data.example.org/rows/api/v1", Address(True, "data.example.org", None, "/rows/api/v1")),
        ("http://[::1]:80", Address(False, "::1", 80, "/api/v1")),
    ],
)
def test_addresses(url: str, address: Address) -> None:
    """The parts of a URL; a slash at its end is none, and the URL of a server is that of its API."""
    assert parse_address(url) == address


@pytest.mark.parametrize(
    "url", ["", "data.example.org", "ftp://x/api", "http://", "http:///api", "http://x:port/"]
)
def test_what_is_no_address(url: str) -> None:
    """A URL that cannot be one is refused before anything is sent."""
    with pytest.raises(ValueError, match=r"."):
        parse_address(url)


# What an answer means.


def test_a_receipt_is_definite() -> None:
    """201 that counts the rows that were sent; the header says whether it is a repeat."""
    receipt = _receipt(answer(201, {"rowsAdded": 3, "commit": 7, "chain": "ab"}), 3)
    assert receipt is not None
    assert (receipt.row_count, receipt.is_repeat, receipt.commit, receipt.chain) == (3, False, 7, "ab")
    for text, is_repeat in (("true", True), ("false", False), ("TRUE", False)):
        repeated = _receipt(answer(201, {"rowsAdded": 3}, idempotency_replayed=text), 3)
        assert repeated is not None
        assert repeated.is_repeat is is_repeat


@pytest.mark.parametrize("count", [0, 2, 4])
def test_another_count_is_an_error(count: int) -> None:
    """A server that counts other rows than were sent is not believed, either way."""
    with pytest.raises(InsertError, match=f"counts {count} rows in a request of 3"):
        _receipt(answer(201, {"rowsAdded": count}), 3)


@pytest.mark.parametrize(
    "body", [b"", b"{", b"null", b"[]", b'{"rowsAdded":"3"}', b'{"rowsAdded":3', b"\xff", b"<html>"]
)
def test_half_an_answer_is_none(body: bytes) -> None:
    """201 without a whole receipt is repeated."""
    assert _receipt(answer(201, body), 3) is None


@pytest.mark.parametrize("status", sorted(REPEATED))
@pytest.mark.parametrize("is_ours", [True, False])
def test_trouble_is_repeated(status: int, is_ours: bool) -> None:
    """Whoever says it; also when the server names rows along with it."""
    said = refusal(status, errors=[{"row": 0, "message": "no"}]) if is_ours else answer(status, b"busy")
    assert _receipt(said, 3) is None


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 410, 413, 415, 422])
def test_a_refusal_is_definite(status: int) -> None:
    """The server's own refusal raises: with rows it names them, without it says why."""
    with pytest.raises(RequestRefused, match="It says why") as refused:
        _receipt(refusal(status), 3)
    assert (refused.value.status, refused.value.code) == (status, "some_code")
    errors = [{"row": 2, "message": "bad", "variable": "a"}, {"row": 0, "message": "worse"}]
    with pytest.raises(RowErrors) as rows:
        _receipt(refusal(status, errors=errors), 3)
    assert rows.value.errors == [(2, Reason("a", "bad")), (0, Reason(None, "worse"))]


@pytest.mark.parametrize(
    ("status", "is_definite"),
    [(200, False), (302, False), (400, False), (401, True), (404, True), (418, True)],
)
def test_what_another_server_says(status: int, is_definite: bool) -> None:
    """400 and below may come from a network that garbles; what is above names the wrong place."""
    for said in (answer(status, b"nothing here"), answer(status, b"{}")):
        if not is_definite:
            assert _receipt(said, 3) is None
            continue
        with pytest.raises(RequestRefused, match="no rowkeep server") as refused:
            _receipt(said, 3)
        assert refused.value.status == status


def test_a_status_that_is_not_its_bodys() -> None:
    """A refusal under another status was changed on its way."""
    assert _receipt(answer(400, refusal(404).body), 3) is None
    with pytest.raises(RequestRefused):
        _receipt(answer(404, refusal(400).body), 3)


# What is taken out of a batch.


def rows(count: int) -> list[bytes]:
    """So many rows."""
    return [b'{"a":%d}' % number for number in range(count)]


@pytest.mark.parametrize("count", [0, 1, 3])
def test_a_body_gives_its_rows_back(count: int) -> None:
    """Joined here or before, as they went in."""
    assert rows_of(frame(rows(count))) == rows(count)
    assert frame_joined(memoryview(b",".join(rows(count)))) == frame(rows(count))
    assert json.loads(frame(rows(count))) == {"rows": [{"a": number} for number in range(count)]}


def test_refused_rows_are_gathered() -> None:
    """One for each row that errors name, in the order of rows, with its number and all its reasons."""
    first, second, third = (Reason(None, name) for name in "xyz")
    found = gather_refused([(2, first), (0, second), (2, third)], [10, 20, 30], rows(3))
    assert found == [RefusedRow(10, (second,), rows(3)[0]), RefusedRow(30, (first, third), rows(3)[2])]
    assert gather_refused([], [10], rows(1)) == []


def test_the_rest_of_a_batch_has_a_key_of_its_own() -> None:
    """Made from the batch's key and the rows that are missing, whatever the order they were taken out in."""
    batch = Batch("key", frame(rows(4)), [10, 20, 30, 40])
    one, other = RefusedRow(20, (), b""), RefusedRow(40, (), b"")
    assert _without(batch, {}) == batch
    rest = _without(batch, {20: one, 40: other})
    assert (rows_of(rest.body), list(rest.numbers)) == ([rows(4)[0], rows(4)[2]], [10, 30])
    assert rest == _without(batch, {40: other, 20: one})
    keys = {batch.key, rest.key, *(_without(batch, {row.number: row}).key for row in (one, other))}
    assert len(keys) == 4
    assert rest.key.startswith("key-")
    assert _without(msgspec.structs.replace(batch, key="other"), {20: one}).key not in keys


def test_the_text_names_the_first_rows() -> None:
    """Five by their reasons, the others by how many they are."""
    refused = [RefusedRow(number, (Reason(None, f"reason {number}"),), b"") for number in range(7)]
    assert str(RowsRefused(refused[:1])).startswith("row 0: reason 0. Nothing")
    assert "more rows" not in str(RowsRefused(refused[:5]))
    text = str(RowsRefused(refused))
    assert "row 4: reason 4; and 2 more rows. Nothing" in text
    assert "reason 5" not in text
    assert RowsRefused(refused).rows == tuple(refused)


class ScriptedSender:
    """Answers batches by what it was told, and remembers them."""

    def __init__(self, *outcomes: Receipt | Exception) -> None:
        self._outcomes = list(outcomes)
        self.sent: list[tuple[str, list[bytes], int]] = []

    def send(self, key: str, body: bytes, row_count: int) -> Receipt:
        """Gives the next outcome."""
        self.sent.append((key, rows_of(body), row_count))
        outcome = self._outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


def test_a_batch_goes_in_whole_or_not_at_all() -> None:
    """With unfit rows it is not even sent; nor is an empty one; a repeat counts its rows as repeated."""
    batch = Batch("key", frame(rows(3)), [1, 2, 3])
    for is_repeat in (False, True):
        sender = ScriptedSender(Receipt(3, is_repeat))
        outcome = insert_whole(batch, sender)  # type: ignore[arg-type]  # all that is asked of it
        assert (outcome.inserted, outcome.repeated, outcome.refused) == (3, 3 * is_repeat, ())
        assert sender.sent == [("key", rows(3), 3)]
    silent = ScriptedSender()
    unfit = RefusedRow(4, (Reason(None, "no object"),), b"7")
    with pytest.raises(RowsRefused, match="no object"):
        insert_whole(msgspec.structs.replace(batch, unfit=(unfit,)), silent)  # type: ignore[arg-type]
    outcome = insert_whole(Batch("key", frame([]), []), silent)  # type: ignore[arg-type]
    assert (outcome.inserted, outcome.repeated, outcome.refused) == (0, 0, ())
    assert silent.sent == []
    refusing = ScriptedSender(RowErrors([(1, Reason("a", "bad"))]))
    with pytest.raises(RowsRefused) as refused:
        insert_whole(batch, refusing)  # type: ignore[arg-type]
    assert refused.value.rows == (RefusedRow(2, (Reason("a", "bad"),), rows(3)[1]),)


def test_rows_that_do_not_fit_are_taken_out_until_the_rest_goes_in() -> None:
    """Each round is noted before the next is sent; what was taken out before is not sent again."""
    bad = Reason("a", "bad")
    first, second, third = (RefusedRow(number, (bad,), rows(4)[number - 1]) for number in (1, 2, 3))
    sender = ScriptedSender(RowErrors([(0, bad)]), RowErrors([(0, bad), (1, bad)]), Receipt(1, False))
    noted: list[tuple[int, list[RefusedRow]]] = []

    def note(_: Batch, removed: Sequence[RefusedRow]) -> None:
        noted.append((len(sender.sent), list(removed)))

    batch = Batch("key", frame(rows(4)), [1, 2, 3, 4])
    outcome = insert_fitting(batch, sender, note)  # type: ignore[arg-type]  # all that is asked of it
    assert (outcome.inserted, outcome.repeated, outcome.refused) == (1, 0, (first, second, third))
    assert noted == [(1, [first]), (2, [first, second, third])]
    assert [sent for _, sent, _ in sender.sent] == [rows(4), rows(4)[1:], rows(4)[3:]]
    assert len({key for key, *_ in sender.sent}) == 3
    again = ScriptedSender(Receipt(1, True))
    known = msgspec.structs.replace(batch, removed=(first, second, third))
    outcome = insert_fitting(known, again, note)  # type: ignore[arg-type]
    assert (outcome.inserted, outcome.repeated, len(outcome.refused)) == (1, 1, 3)
    assert again.sent == sender.sent[2:]
    nothing = ScriptedSender()
    known = msgspec.structs.replace(known, removed=(*known.removed, RefusedRow(4, (bad,), b"")))
    outcome = insert_fitting(known, nothing, note)  # type: ignore[arg-type]
    assert (outcome.inserted, outcome.repeated, len(outcome.refused)) == (0, 0, 4)
    assert nothing.sent == []
