"""The position of a follower: the next row of each upload that it follows, as a text that resumes there.

Rows keep their number for ever, so the number of the next row is all that is to be known of an upload. The
text is `1~<what is followed>~<upload>.<next row>~...`, all of it fit for a query and a header. Clients keep
it as it is: the 1 is the version of the form, which may change.
"""

import re

import msgspec

from rowkeep.model.errors import RowkeepError, invalid_request

# As many uploads as keep a position well below what HTTP servers take as a header.
UPLOADS_MAX = 500
_FORM = "1"
_position = re.compile(r"([0-9]{1,18})\.([0-9]{1,18})").fullmatch


class Positions(msgspec.Struct, frozen=True):
    """The next row of each upload, by upload id. `subject` names the table or upload that is followed."""

    subject: str
    next_rows: dict[int, int]

    def text(self) -> str:
        """Returns the positions as one text."""
        return "~".join([_FORM, self.subject, *_parts(self.next_rows)])

    def around(self, upload_id: int) -> tuple[str, str]:
        """Returns the parts of the text before and after the next row of one upload."""
        before = {other: row for other, row in self.next_rows.items() if other < upload_id}
        after = {other: row for other, row in self.next_rows.items() if other > upload_id}
        return (
            "~".join([_FORM, self.subject, *_parts(before), f"{upload_id}."]),
            "".join(f"~{part}" for part in _parts(after)),
        )


def _parts(next_rows: dict[int, int]) -> list[str]:
    return [f"{upload_id}.{row}" for upload_id, row in sorted(next_rows.items())]


def parse_positions(text: str, subject: str) -> Positions:
    """Returns the positions in a text that was given out for a subject. Raises invalid_request_error."""
    form, _, rest = text.partition("~")
    named, *parts = rest.split("~")
    if form != _FORM or len(parts) > UPLOADS_MAX:
        raise _not_ours(text)
    next_rows: dict[int, int] = {}
    for part in parts:
        match = _position(part)
        if match is None:
            raise _not_ours(text)
        next_rows[int(match[1])] = int(match[2])
    if named != subject:
        raise invalid_request("This position is one of another table or upload. Leave it out to begin anew.")
    positions = Positions(subject, next_rows)
    if positions.text() != text:
        raise _not_ours(text)
    return positions


def _not_ours(text: str) -> RowkeepError:
    return invalid_request(
        f"{text[:60]!r} is not a position that this server gave out. Leave it out to begin anew."
    )
