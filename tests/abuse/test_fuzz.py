"""Whatever bytes come, they are read or refused in words: a fuzzer over what strangers send first.

Nothing but an error that is meant for the caller may come out of a decoder, of a reference, of an Arrow
stream or of a header; what was taken is stored text that reads back.
`scripts/test --long tests/abuse/test_fuzz.py` tries a hundred times as much.
"""

import io
import os
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from rowkeep.api.http.headers import (
    asked_request_id,
    caller_of,
    content_coding,
    head_problem,
    idempotency_key,
    rows_format,
)
from rowkeep.api.http.ranges import asked_range
from rowkeep.api.http.request import read_json
from rowkeep.api.resources.insert_options import insert_options
from rowkeep.api.resources.reads import ReadSessionDraft
from rowkeep.formats.arrow_body import canonical_texts, write_lines
from rowkeep.model.decoding.lenient import decode_leniently, decode_lines_leniently
from rowkeep.model.decoding.row_lines import split_lines
from rowkeep.model.decoding.strict import StrictRefusal, row_decoder
from rowkeep.model.errors import RowkeepError
from rowkeep.model.references import parse_dataset_reference, parse_table_reference
from rowkeep.model.schema import Schema, Variable
from rowkeep.model.types import VariableType

EXAMPLES = 120
LONG_FACTOR = 100
SCHEMA = Schema(1, tuple(Variable(type_.value.lower(), type_) for type_ in VariableType))

# Pieces of JSON in any order, right and wrong, and bytes that are none.
PIECES = [
    b"{", b"}", b"[", b"]", b",", b":", b'"', b"\\", b'"rows"', b'{"rows":[', b"]}", b'"integer"', b'"float"',
    b'"dateTime"', b'"geography"', b'"validateOnly"', b"true", b"null", b"NaN", b"1", b"-0", b"1e999",
    b"1e-999", b"9" * 400, b'"POINT(1 2)"', b'"2026-01-31"', b'"\\ud800"', b"\xff", b"\x00", b"\n", b" ",
    b"\xef\xbb\xbf", b"[" * 2_000, b'{"a":' * 1_500,
]  # fmt: skip
NAMES = ["a", ".", ":", "next", "v1.0", ":sample", ":ab12", "%", "/", "..", "\0", "é", "", " ", "~", "*"]
VALUES = [
    b"Bearer ", b"bearer", b"application/json", b";", b"charset=", b"utf-8", b",", b"gzip", b"zstd",
    b"bytes=", b"-", b"9" * 30, b"\t", b"\xff", b"x",
]  # fmt: skip
bodies = some.lists(some.sampled_from(PIECES) | some.binary(max_size=6), max_size=30).map(b"".join)
texts = some.text(max_size=80) | some.lists(some.sampled_from(NAMES), max_size=9).map("".join)
header_values = some.binary(max_size=60) | some.lists(some.sampled_from(VALUES), max_size=7).map(b"".join)


def decodes(body: bytes) -> None:
    """What the strict decoder takes, the lenient one takes too; what either stores reads back."""
    decoder = row_decoder(SCHEMA)
    strict = refusable(lambda: decoder.accept(body), StrictRefusal)
    lenient = refusable(lambda: decode_leniently(body, SCHEMA, updates_by_default=False))
    if strict is not None:
        assert lenient is not None
        assert len(strict.rows) == lenient.row_count
    if lenient is not None and lenient.row_count:
        assert len(row_decoder(lenient.schema).read(lenient.body)) == lenient.row_count
    lines = refusable(lambda: split_lines(body))
    if lines is not None:
        refusable(lambda: decoder.accept_lines(lines), StrictRefusal)
        refusable(lambda: decode_lines_leniently(lines, SCHEMA, may_update=True))
    refusable(lambda: read_json(body, ReadSessionDraft))


def is_referred_to(text: str) -> None:
    """A reference of any text."""
    refusable(lambda: parse_table_reference(text))
    refusable(lambda: parse_dataset_reference(text))


def is_a_header(value: bytes) -> None:
    """Every header, and the query, with any value."""
    refusable(lambda: caller_of(value))
    refusable(lambda: idempotency_key(value))
    refusable(lambda: rows_format(value))
    refusable(lambda: insert_options(value))
    refusable(lambda: asked_range(value, 1_000))
    for name in (b"content-encoding", b"transfer-encoding", b"x-request-id", b"content-length"):
        refusable(lambda name=name: content_coding([(name, value)]))  # type: ignore[misc]
        refusable(lambda name=name: asked_request_id([(name, value)]))  # type: ignore[misc]
        head_problem(value, value, [(name, value), (name, value)])


def refusable(function: Callable[[], Any], *others: type[Exception]) -> Any:
    """What a function returns; None for what is refused in words."""
    try:
        return function()
    except (RowkeepError, *others) as error:
        assert not isinstance(error, RowkeepError) or error.message
        return None


@settings(max_examples=EXAMPLES)
@given(bodies)
def test_bodies(body: bytes) -> None:
    """Rows in every spelling, and what is none."""
    decodes(body)


@settings(max_examples=EXAMPLES)
@given(texts)
def test_references(text: str) -> None:
    """Names with what may not be in them."""
    is_referred_to(text)


@settings(max_examples=EXAMPLES)
@given(header_values)
def test_headers(value: bytes) -> None:
    """Values that no client sends."""
    is_a_header(value)


@pytest.mark.long
def test_all_of_it_for_long() -> None:
    """The same, a hundred times as often."""
    for check, values in ((decodes, bodies), (is_referred_to, texts), (is_a_header, header_values)):
        settings(max_examples=EXAMPLES * LONG_FACTOR)(given(values)(check))()  # type: ignore[arg-type]


def stream() -> bytes:
    """A stream of every layout that is read."""
    table = pa.table(
        {
            "integer": pa.array([1, None, 3]),
            "string": pa.array(["x", "yy", None]).dictionary_encode(),
            "geography": pa.array([None, "POINT(1 2)" * 3, ""], pa.large_string()),
            "boolean": pa.array([True, None, False]),
            "float": pa.array([1.5, None, 1e300]),
            "views": pa.array([None, "z" * 20, "y" * 12], pa.string_view()),
        }
    )
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=2)
    return sink.getvalue()


STREAM = stream()
NUMBERS = [0, 1, 3, 127, 255, 2**16, 2**31 - 1, 2**31, 2**32 - 1, 2**62, 2**63 - 1, 2**63, 2**64 - 1]
# Numbers that lie: lengths, offsets, counts, each where one may stand.
places = some.integers(0, len(STREAM) // 4 - 2)
lies = some.lists(
    some.tuples(places, some.sampled_from(NUMBERS), some.sampled_from([4, 8])), min_size=1, max_size=3
)
STREAMS_EACH = 20
many_lies = some.lists(lies, min_size=STREAMS_EACH, max_size=STREAMS_EACH)


def are_streams(streams: list[list[tuple[int, int, int]]]) -> None:
    """Streams with numbers that lie, in a process that may die of one as a decoding process may."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            for changes in streams:
                is_a_stream(changes)
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0


def is_a_stream(changes: list[tuple[int, int, int]]) -> None:
    """A stream in which some numbers were changed."""
    body = bytearray(STREAM)
    for place, number, width in changes:
        body[place * 4 : place * 4 + width] = (number % 2 ** (8 * width)).to_bytes(width, "little")
    view = memoryview(bytes(body))
    refusable(lambda: list(canonical_texts(view, SCHEMA, bytes_max=100_000)), StrictRefusal)
    refusable(lambda: write_lines(view, io.BytesIO(), bytes_max=100_000))


@settings(max_examples=EXAMPLES // STREAMS_EACH)
@given(many_lies)
def test_arrow_streams(streams: list[list[tuple[int, int, int]]]) -> None:
    """Refused in words, or a crash that takes only its own process: nothing else."""
    are_streams(streams)


@pytest.mark.long
def test_arrow_streams_for_long() -> None:
    """The same, a hundred times as often."""
    settings(max_examples=EXAMPLES * LONG_FACTOR // STREAMS_EACH)(given(many_lies)(are_streams))()
