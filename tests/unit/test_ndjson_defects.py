"""What `rowkeep insert` says of a line that it cannot send."""

import pytest

from rowkeep.client.files.ndjson import NdjsonPiece


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (rb'{"a":"\ud800"}', r"half a surrogate pair (\ud800) at byte 6"),
        (rb'{"a":"x\\\udc00"}', r"half a surrogate pair (\udc00) at byte 9"),
        (rb'{"a":"\ud83d\ude00\uDBFF"}', r"half a surrogate pair (\uDBFF) at byte 18"),
        (rb'{"\ud800":1}', r"half a surrogate pair (\ud800) at byte 2"),
        (b'{"a":"NaN","b": NaN}', "it holds NaN, and JSON has no such number"),
        (b'{"a":-Infinity}', "it holds -Infinity"),
        (b'{"a":1', "it is not one JSON object"),
        (rb'{"a":"\\ud800 NaN"', "it is not one JSON object"),
        (b"[1]", "it is not one JSON object"),
    ],
)
def test_a_line_that_cannot_be_sent(line: bytes, words: str) -> None:
    """It is named by its number, with what is wrong within it; the lines around it are sent."""
    data = b'{"a":1}\n' + line + b'\n{"a":2}\n'
    batch, line_count = NdjsonPiece(data, is_full=False, is_certain=True).batch("key", 0)
    assert (list(batch.numbers), line_count) == ([1, 3], 3)
    (refused,) = batch.unfit
    assert (refused.number, words in refused.reasons[0].message) == (2, True), refused.reasons


def test_whole_pairs_are_sent() -> None:
    """And so are backslashes before what only looks like half a pair."""
    data = rb'{"a":"\ud83d\ude00"}' + b"\n" + rb'{"a":"\\ud800"}' + b"\n\n"
    batch, _ = NdjsonPiece(data, is_full=False, is_certain=True).batch("key", 0)
    assert (list(batch.numbers), batch.unfit) == ([1, 2], ())
