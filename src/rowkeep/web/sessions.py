"""The sessions of people who are signed in at the console, and the limit on attempts to sign in.

Theory
------
A session stands for an API token: the person pasted it once, and from then on the browser has a cookie with a
random id of 256 bits. The server keeps the hash of that id beside the hash of the token, so neither can be
read from its memory and used. Rights are looked up by the token at every request: a token that is revoked or
expires ends what its sessions can do at once.

A session ends after IDLE_SECONDS_MAX without a request, after SESSION_SECONDS_MAX in any case, at sign-out
and when the server restarts. Every sign-in makes a new id and ends the session that the browser had before.
Beyond SESSIONS_MAX the one that was idle longest goes.
"""

import hashlib
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable

import msgspec

from rowkeep.model.access import Caller

SESSIONS_MAX = 10_000
IDLE_SECONDS_MAX = 2 * 3600
SESSION_SECONDS_MAX = 12 * 3600
ATTEMPTS_MAX = 30
ATTEMPTS_SECONDS = 60
ADDRESSES_MAX = 10_000

Clock = Callable[[], float]


class Session(msgspec.Struct):
    """One browser that is signed in."""

    caller: Caller
    user_name: str
    began_at: float
    seen_at: float

    def has_ended(self, now: float) -> bool:
        """Returns whether the session was idle too long, or has reached its longest duration."""
        return now - self.seen_at > IDLE_SECONDS_MAX or now - self.began_at > SESSION_SECONDS_MAX


class Sessions:
    """The sessions of one server, the most recently used last."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._by_hash: OrderedDict[bytes, Session] = OrderedDict()

    def begin(self, caller: Caller, user_name: str) -> str:
        """Begins a session. Returns its id, of which only the hash is kept."""
        identifier = secrets.token_urlsafe(32)
        now = self._clock()
        self._by_hash[_hash(identifier)] = Session(caller, user_name, now, now)
        while len(self._by_hash) > SESSIONS_MAX:
            self._by_hash.popitem(last=False)
        return identifier

    def find(self, identifier: str | None) -> Session | None:
        """Returns the session of this id and marks it as used. None for one that has ended or is unknown."""
        if identifier is None:
            return None
        hash_ = _hash(identifier)
        session = self._by_hash.get(hash_)
        if session is None:
            return None
        now = self._clock()
        if session.has_ended(now):
            del self._by_hash[hash_]
            return None
        session.seen_at = now
        self._by_hash.move_to_end(hash_)
        return session

    def end(self, identifier: str | None) -> None:
        """Ends a session, if it exists."""
        if identifier is not None:
            self._by_hash.pop(_hash(identifier), None)


class Attempts:
    """How often each address tried to sign in within the last minute."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._by_address: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def wait_seconds(self, address: str) -> int:
        """Counts an attempt. Returns 0 when it may be made, else how long to wait."""
        now = self._clock()
        began_at, count = self._by_address.get(address, (now, 0))
        if now - began_at >= ATTEMPTS_SECONDS:
            began_at, count = now, 0
        self._by_address[address] = (began_at, count + 1)
        self._by_address.move_to_end(address)
        while len(self._by_address) > ADDRESSES_MAX:
            self._by_address.popitem(last=False)
        return 0 if count < ATTEMPTS_MAX else max(1, round(began_at + ATTEMPTS_SECONDS - now))


def _hash(identifier: str) -> bytes:
    return hashlib.sha256(identifier.encode()).digest()
