"""How many rows of many variables go together: in a request, in a segment."""

from collections.abc import Callable

import pytest

from rowkeep.model.decoding.large import SliceSink, decode_large, decode_large_lines
from rowkeep.model.decoding.strict import Row
from rowkeep.model.errors import ErrorCode, RowkeepError
from rowkeep.model.quarantine import QuarantineBounds, Skipping
from rowkeep.model.resources import Segment
from rowkeep.model.schema import Schema, Variable
from rowkeep.model.types import VariableType
from rowkeep.model.wide_rows import BATCH_CHUNKS_MAX, CHUNKS_MAX, check_batch, chunk_count, group_rows
from rowkeep.services.maintenance import segments_to_compact

WIDE = Schema(1, tuple(Variable(f"v{number}", VariableType.INTEGER) for number in range(10_000)))
ROWS_MAX = 2_600


def test_what_a_request_may_have() -> None:
    """2,600 rows of 10,000 variables; of few variables, more than a body can hold."""
    check_batch(ROWS_MAX, 10_000)
    with pytest.raises(RowkeepError, match="at most 2600 rows of an upload with 10000 variables"):
        check_batch(ROWS_MAX + 1, 10_000)
    for width in (0, 1, 8, 100):
        check_batch(20_000_000, width)


Start = Callable[[], SliceSink]


def decode_rows(rows: list[bytes], start: Start, skipping: Skipping | None) -> None:
    """A body that is an object with rows."""
    body = b'{"rows":[' + b",".join(rows) + b"]}"
    decode_large(memoryview(body), WIDE, updates_by_default=False, start=start, skipping=skipping)


def decode_lines(rows: list[bytes], start: Start, skipping: Skipping | None) -> None:
    """A body of a row a line."""
    bounds = None if skipping is None else skipping.bounds
    decode_large_lines(memoryview(b"\n".join(rows)), WIDE, may_update=False, start=start, bounds=bounds)


@pytest.mark.parametrize("decode", [decode_rows, decode_lines])
@pytest.mark.parametrize("skipping", [None, Skipping(by_default=True, bounds=QuarantineBounds(10, 1_000))])
def test_empty_rows_are_counted_before_they_become_large(
    decode: Callable[[list[bytes], Start, Skipping | None], None], skipping: Skipping | None
) -> None:
    """32 KB of `{}` are 110 million cells: refused by every road of a large body, a slice at a time."""
    most = 0

    def sink(_: bytes, rows: list[Row]) -> None:
        nonlocal most
        most = max(most, len(rows))

    with pytest.raises(RowkeepError) as refused:
        decode([b"{}"] * 10_900, lambda: sink, skipping)
    assert refused.value.code is ErrorCode.PAYLOAD_TOO_LARGE
    assert 0 < most <= group_rows(10_000)


def test_wide_segments_stay_apart() -> None:
    """What would have too many column chunks together is not compacted."""

    def segments(width: int, row_count: int) -> tuple[list[Segment], dict[int, Schema]]:
        made = [
            Segment(1, row_count * number, row_count, 1_000, 1, f"{number}", 1_000) for number in range(8)
        ]
        return made, {1: Schema(1, WIDE.variables[:width])}

    assert chunk_count(8 * 1_000, 10_000) > CHUNKS_MAX >= chunk_count(1_000, 10_000)
    assert BATCH_CHUNKS_MAX >= CHUNKS_MAX
    assert len(segments_to_compact(*segments(100, 1_000))) == 8
    assert segments_to_compact(*segments(10_000, 1_000)) == []
