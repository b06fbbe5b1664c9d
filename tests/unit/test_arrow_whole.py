"""Arrow bodies are taken whole: nothing of them is left out, and no value becomes another."""

import pyarrow as pa
import pytest

from rowkeep.model.decoding.lenient import decode_lines_leniently
from rowkeep.model.errors import RowkeepError, RowsRefused
from rowkeep.model.schema import Schema
from rowkeep.model.types import VariableType
from tests.unit.test_arrow_bodies import canonical_text, lines_of, one, schema_of, stream_of, text_of_lines

LOOKS_LIKE_AN_END = 2**32 - 1  # as eight bytes it is the mark of a stream's end


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (one(pa.array([1, 2])) + one(pa.array([3])), "follow the end"),
        (one(pa.array([1, 2])) + b"\n", "follow the end"),
        (one(pa.array([1, 2])) + one(pa.array([3]))[-8:], "follow the end"),
        (one(pa.array([1, LOOKS_LIKE_AN_END]))[:-8], "is cut off"),
        (
            stream_of(pa.table({"v": [1, LOOKS_LIKE_AN_END, 3, LOOKS_LIKE_AN_END]}), rows_per_batch=2)[:-168],
            "is cut off",
        ),
    ],
    ids=["two streams", "a line feed", "two ends", "a value like an end", "a batch less"],
)
def test_a_body_is_one_whole_stream(body: bytes, says: str) -> None:
    """No batch is left out without a word, neither one behind an end nor one that was cut off."""
    for read in (lambda: canonical_text(body, schema_of(VariableType.INTEGER)), lambda: lines_of(body)):
        with pytest.raises(RowkeepError) as refused:
            read()
        assert says in refused.value.message


@pytest.mark.parametrize(
    "array",
    [
        pa.array([0, None, 2**62], pa.timestamp("us")),
        pa.array([0, None, -(2**62)], pa.timestamp("s")),
        pa.array([0, None, 12_000_000], pa.date32()),
    ],
    ids=lambda array: str(array.type),
)
@pytest.mark.parametrize("type_", ["string", "dateTime", "date", None])
@pytest.mark.parametrize("may_update", [False, True])
def test_a_time_that_no_calendar_has_is_an_error_of_its_row(
    array: pa.Array, type_: str | None, may_update: bool
) -> None:
    """Also where a text would be taken: the words of a library are no value."""
    schema = Schema(1, ()) if type_ is None else schema_of(VariableType(type_))
    lines = text_of_lines(one(array)).splitlines()
    with pytest.raises(RowsRefused) as refused:
        decode_lines_leniently(lines, schema, may_update=type_ is None or may_update)
    assert (2, "v") in [(error.row, error.variable) for error in refused.value.row_errors]
