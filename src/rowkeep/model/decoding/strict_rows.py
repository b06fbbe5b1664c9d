"""The strict path for a whole body: the rows, and the line that the journal keeps of them."""

import msgspec

from rowkeep.model.chain import digest_of
from rowkeep.model.decoding.row_lines import rows_body, split_lines
from rowkeep.model.decoding.strict import RowDecoder
from rowkeep.model.inserts import BodyFormat, OffsetMove, offset_move


class StrictRows(msgspec.Struct, frozen=True):
    """The facts about the rows of a body. `validate_only` and `offset` are set if the body has them.

    `rows_sha256` is the digest of the rows (model/chain.py).
    """

    row_count: int
    rows_sha256: bytes
    validate_only: bool | None = None
    offset: OffsetMove | None = None


def strict_rows(decoder: RowDecoder, body: bytes, written_as: BodyFormat) -> tuple[StrictRows, bytes]:
    """Checks a body of rows in the strict spelling. Returns the rows and the line. Raises StrictRefusal."""
    if written_as is not BodyFormat.JSON:
        rows, line = decoder.accept_lines(split_lines(body))
        return StrictRows(len(rows), digest_of(rows)), line
    accepted = decoder.accept(body)
    offset = offset_move(accepted.offsetToken, accepted.expectedOffsetToken)
    rows = accepted.rows
    return StrictRows(len(rows), digest_of(rows), accepted.validateOnly, offset), _one_line(body)


def line_of(body: bytes, written_as: BodyFormat) -> bytes:
    """Returns the line of a body that was checked elsewhere."""
    return _one_line(body) if written_as is BodyFormat.JSON else rows_body(split_lines(body))


def _one_line(body: bytes) -> bytes:
    # A line feed is only white space in JSON (within a string it must be escaped).
    return body.replace(b"\n", b" ") if b"\n" in body else body
