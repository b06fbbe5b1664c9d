"""How the client repeats a request: what it sends again, how long it waits, what it says meanwhile."""

import json
import threading
from collections.abc import Mapping
from types import SimpleNamespace

import pytest

from rowkeep.client.connection import Answer, NoAnswer
from rowkeep.client.errors import InsertError, RequestRefused, ServerUnreachable, UnsettledBatch
from rowkeep.client.patience import BUSY_UNSAID_SECONDS, NOTICE_SECONDS, Patience, RetryPolicy
from rowkeep.client.retrying import NO_NEXT_VERSION, VIGIL_SECONDS, Receipt, Sender, refusal_of

BODY = b'{"rows":[{"a":1}]}'


class Clock(threading.Event):
    """A flag that nobody sets and a clock: waiting for it lets the time pass."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.waits: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        assert timeout is not None
        self.waits.append(timeout)
        self.now += timeout
        return self.is_set()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock that the client reads."""
    made = Clock()
    for module in ("patience", "retrying"):
        monkeypatch.setattr(f"rowkeep.client.{module}.time", SimpleNamespace(monotonic=lambda: made.now))
    return made


class ScriptedConnection:
    """Gives answers by what it was told; the last one again and again."""

    def __init__(self, *outcomes: Answer | NoAnswer) -> None:
        self._outcomes = list(outcomes)
        self.asked: list[tuple[str, str, bytes | None, Mapping[str, str] | None]] = []
        self.is_closed = False

    def ask(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Gives the next outcome."""
        self.asked.append((method, path, body, headers))
        outcome = self._outcomes.pop(0) if len(self._outcomes) > 1 else self._outcomes[0]
        if isinstance(outcome, NoAnswer):
            raise outcome
        return outcome

    def close(self) -> None:
        """Notes it."""
        self.is_closed = True


def refusal(status: int, text: str = "It says why.", **headers: str) -> Answer:
    """A refusal as the server words it."""
    said = {"status": status, "error": "some_code", "error_description": text}
    return Answer(status, {name.replace("_", "-"): value for name, value in headers.items()}, _json(said))


def _json(value: object) -> bytes:
    return json.dumps(value).encode()


INSERTED = Answer(201, {}, _json({"rowsAdded": 1}))
AWAY = refusal(404, f"Dataset d {NO_NEXT_VERSION}.")


def sent(
    clock: Clock, *outcomes: Answer | NoAnswer, policy: RetryPolicy | None = None
) -> tuple[Receipt | Exception, ScriptedConnection, list[str]]:
    """What becomes of one batch, what was asked, and what was said."""
    connection, said = ScriptedConnection(*outcomes), []
    sender = Sender(connection, "/rows", policy or RetryPolicy(), clock, said.append)  # type: ignore[arg-type]
    try:
        found: Receipt | Exception = sender.send("key", BODY, 1)
    except InsertError as error:
        found = error
    sender.close()
    assert connection.is_closed
    return found, connection, said


def test_every_attempt_is_alike(clock: Clock) -> None:
    """One key, one body, one path, whatever came in between."""
    troubles = [NoAnswer("broken"), refusal(503), Answer(502, {}, b"<html>"), Answer(201, {}, b"{")]
    found, connection, _ = sent(clock, *troubles, INSERTED)
    assert found == Receipt(1, is_repeat=False)
    assert connection.asked == [("POST", "/rows", BODY, {"Idempotency-Key": "key"})] * 5
    assert len(clock.waits) == 4


def test_what_the_server_asks_for_is_waited(clock: Clock) -> None:
    """The header of the last answer is the least wait; without one it is drawn."""
    found, _, _ = sent(clock, refusal(429, retry_after="7"), refusal(503, retry_after="3"), INSERTED)
    assert isinstance(found, Receipt)
    assert clock.waits == [7, 3]


def test_it_gives_up(clock: Clock) -> None:
    """After the time that was given, with the last problem in the text."""
    found, connection, _ = sent(clock, refusal(503, "It is busy."), policy=RetryPolicy(seconds_max=60))
    assert isinstance(found, ServerUnreachable)
    assert "within 60 seconds" in str(found)
    assert "It is busy." in str(found)
    assert clock.now <= 60
    assert len(connection.asked) == len(clock.waits) + 1


def test_a_next_version_is_waited_for(clock: Clock) -> None:
    """And the upload in it; it is said once. Afterwards trouble has its whole time again."""
    gone = refusal(404, "There is no upload s in table t.")
    found, connection, said = sent(clock, AWAY, AWAY, gone, INSERTED)
    assert isinstance(found, Receipt)
    assert clock.waits == [VIGIL_SECONDS] * 3
    assert len(connection.asked) == 4
    assert [NO_NEXT_VERSION in text for text in said] == [True]


@pytest.mark.parametrize("seconds", [0, 10])
def test_a_next_version_is_waited_for_so_long(clock: Clock, seconds: float) -> None:
    """Then its absence is a refusal, as it is at once for whoever does not want to wait."""
    found, _, said = sent(clock, AWAY, policy=RetryPolicy(version_seconds_max=seconds))
    assert isinstance(found, RequestRefused)
    assert seconds <= clock.now <= seconds + VIGIL_SECONDS
    assert len(said) == bool(seconds)


def test_what_is_not_there_is_not_waited_for(clock: Clock) -> None:
    """An upload that is absent without a word of versions is a refusal."""
    found, connection, said = sent(clock, refusal(404, "There is no upload s in table t."))
    assert isinstance(found, RequestRefused)
    assert (len(connection.asked), clock.waits, said) == (1, [], [])


def test_a_stop_ends_the_wait(clock: Clock) -> None:
    """The attempt under way is the last, of a repeat as of a vigil."""
    clock.set()
    found, connection, _ = sent(clock, refusal(503))
    assert isinstance(found, ServerUnreachable)
    assert "stopped" in str(found)
    assert len(connection.asked) == 1
    found, connection, _ = sent(clock, AWAY)
    assert isinstance(found, RequestRefused)
    assert len(connection.asked) == 1


def test_what_is_said_meanwhile(clock: Clock) -> None:
    """Not of one short wait; of the second at once, and then every half minute."""
    said: list[tuple[float, str]] = []
    policy = RetryPolicy(seconds_max=1_000, wait_seconds_min=0.001, wait_seconds_max=0.001)
    patience = Patience(policy, clock, lambda text: said.append((clock.now, text)))
    patience.wait("busy", 0.5)
    patience.end()
    assert said == []
    patience.wait("busy", NOTICE_SECONDS - 1)
    assert [text for _, text in said] == ["busy; trying again for 1000 seconds more"]
    patience.wait("busy", 1)
    assert len(said) == 1
    patience.wait("busier", 1)
    assert [text for _, text in said[1:]] == ["busier; trying again for 970 seconds more"]
    patience.end()
    assert said[-1][1] == "the server answers again"


def test_a_busy_server_is_not_news(clock: Clock) -> None:
    """A server that asks for a moment is not spoken of until that has gone on for a while."""
    said: list[float] = []
    policy = RetryPolicy(wait_seconds_max=1)
    patience = Patience(policy, clock, lambda _: said.append(clock.now))
    while not said:
        patience.wait("busy", 1, is_busy=True)
    assert said == [BUSY_UNSAID_SECONDS]


def test_advice_goes_with_a_token_that_is_refused() -> None:
    """Unless the server gives it itself; other refusals have none."""
    advised, told = refusal(401), refusal(401, "Make one: rowkeep token create --user NAME.")
    assert str(refusal_of(advised)).count("token create") == 1
    assert str(refusal_of(told)).count("token create") == 1
    assert "token create" not in str(refusal_of(refusal(403)))


def test_what_is_not_known_to_be_in() -> None:
    """An error tells the batches and their rows, in order; one that knows of none tells none."""
    assert InsertError("why").unsettled == ()
    assert InsertError("why").unsettled_rows == []
    error = InsertError("why")
    batches = [UnsettledBatch("k1", b'{"rows":[{"a":1},{"a":2}]}'), UnsettledBatch("k2", BODY)]
    error.unsettled_batches = lambda: batches
    assert error.unsettled == tuple(batches)
    assert error.unsettled_rows == [{"a": 1}, {"a": 2}, {"a": 1}]
