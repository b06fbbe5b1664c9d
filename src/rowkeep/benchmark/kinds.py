"""The kinds of requests that the benchmark sends: good ones, and those that ask more of a server."""

import json
import secrets
from collections.abc import Callable, Iterator
from enum import StrEnum

from rowkeep.benchmark.workload import bodies

STREAM_COUNT = 10_000
KEY_BYTES = 8


class RequestKind(StrEnum):
    """What is special about a request."""

    PLAIN = "plain"
    KEYED = "with an Idempotency-Key"
    BAD = "all rows bad"
    LENIENT = "in another spelling"
    MANY_STREAMS = "10,000 streams in turn"

    @property
    def status(self) -> bytes:
        """How a server answers it."""
        return b"400" if self is RequestKind.BAD else b"201"


def request_maker(kind: RequestKind, head: str, path: str, rows_per_request: int) -> Callable[[int], bytes]:
    """Makes the request of a number. `head` is all of it from the version of HTTP to the last header."""
    sent = list(_bodies(kind, rows_per_request))
    heads = [f"{head}Content-Length: {len(body)}\r\n".encode() for body in sent]
    lines = [f"POST {line_path} ".encode() for line_path in _paths(kind, path)]
    whole = [lines[0] + head + b"\r\n" + body for head, body in zip(heads, sent, strict=True)]

    def plain(number: int) -> bytes:
        return whole[number % len(whole)]

    def keyed(number: int) -> bytes:
        key = f"Idempotency-Key: {run}-{number}\r\n\r\n".encode()
        return lines[0] + heads[number % len(sent)] + key + sent[number % len(sent)]

    def in_turn(number: int) -> bytes:
        return lines[number % len(lines)] + heads[number % len(sent)] + b"\r\n" + sent[number % len(sent)]

    run = secrets.token_hex(KEY_BYTES)
    return {RequestKind.KEYED: keyed, RequestKind.MANY_STREAMS: in_turn}.get(kind, plain)


def _paths(kind: RequestKind, path: str) -> list[str]:
    if kind is not RequestKind.MANY_STREAMS:
        return [path]
    uploads = path.removesuffix("/bench/rows")
    return [f"{uploads}/bench%20{number}/rows" for number in range(STREAM_COUNT)]


def _bodies(kind: RequestKind, rows_per_request: int) -> Iterator[bytes]:
    for body in bodies(rows_per_request):
        if kind is RequestKind.BAD:
            yield _changed(body, count="many")
        elif kind is RequestKind.LENIENT:
            yield _renamed(body)
        else:
            yield body


def _changed(body: bytes, **values: object) -> bytes:
    rows = json.loads(body)["rows"]
    return json.dumps({"rows": [{**row, **values} for row in rows]}).encode()


def _renamed(body: bytes) -> bytes:
    """Names in capitals: right, and not as most write them."""
    rows = json.loads(body)["rows"]
    return json.dumps({"rows": [{name.upper(): row[name] for name in row} for row in rows]}).encode()
