"""The kinds of requests that the benchmark sends: common ones, and those that cost a server more."""

import datetime
import json
import secrets
from collections.abc import Callable, Iterator
from enum import StrEnum

import pyarrow as pa

from rowkeep.formats.arrow import ARROW_TYPES
from rowkeep.model.types import VariableType
from rowkeep.trials.workload import SCHEMA, bodies

STREAM_COUNT = 10_000
KEY_BYTES = 8


class RequestKind(StrEnum):
    """A kind of requests."""

    PLAIN = "plain"
    KEYED = "with an Idempotency-Key"
    BAD = "all rows bad"
    LENIENT = "in another spelling"
    MANY_STREAMS = "10,000 streams in turn"
    LINES = "as lines"
    ARROW = "as an Arrow stream"

    @property
    def status(self) -> bytes:
        """Returns the status with which a server answers it."""
        return b"400" if self is RequestKind.BAD else b"201"

    @property
    def media_type(self) -> str:
        """Returns the media type of the body."""
        return _MEDIA_TYPES.get(self, "application/json")


_MEDIA_TYPES = {
    RequestKind.LINES: "application/x-ndjson",
    RequestKind.ARROW: "application/vnd.apache.arrow.stream",
}


def request_maker(kind: RequestKind, head: str, path: str, rows_per_request: int) -> Callable[[int], bytes]:
    """Returns a function that makes the request of a number.

    `head` is everything from the version of HTTP to the last header.
    """
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
        elif kind is RequestKind.LINES:
            yield b"\n".join(json.dumps(row).encode() for row in json.loads(body)["rows"])
        elif kind is RequestKind.ARROW:
            yield _arrow_stream(json.loads(body)["rows"])
        else:
            yield body


def _changed(body: bytes, **values: object) -> bytes:
    rows = json.loads(body)["rows"]
    return json.dumps({"rows": [{**row, **values} for row in rows]}).encode()


def _renamed(body: bytes) -> bytes:
    """Returns a body with its names in capitals: correct, but not as most clients write them."""
    rows = json.loads(body)["rows"]
    return json.dumps({"rows": [{name.upper(): row[name] for name in row} for row in rows]}).encode()


def _arrow_stream(rows: list[dict[str, object]]) -> bytes:
    """Returns rows as an Arrow stream, with columns of the types that their variables have."""
    types = {name: VariableType(type_) for name, type_ in SCHEMA}
    table = pa.table(
        {
            name: pa.array([_value(row[name], type_) for row in rows], ARROW_TYPES[type_])
            for name, type_ in types.items()
        }
    )
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    stream: bytes = sink.getvalue().to_pybytes()
    return stream


def _value(value: object, type_: VariableType) -> object:
    parse = _PARSERS.get(type_)
    return value if parse is None else parse(str(value))


_PARSERS: dict[VariableType, Callable[[str], object]] = {
    VariableType.DATE: datetime.date.fromisoformat,
    VariableType.DATE_TIME: datetime.datetime.fromisoformat,
    VariableType.TIME: datetime.time.fromisoformat,
}
