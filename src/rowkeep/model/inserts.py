"""What an insertRows request says beside its rows: how its body is written, what is to be done with it."""

from enum import StrEnum

import msgspec

from rowkeep.model.quarantine import QuarantineBounds, Skipping


class BodyFormat(StrEnum):
    """How a body holds rows: one JSON object with `rows`, one row a line, or an Arrow stream."""

    JSON = "json"
    LINES = "ndjson"
    ARROW = "arrow"


class OffsetMove(msgspec.Struct, frozen=True):
    """Where a producer stands once the rows are in, and where it must have stood before.

    With `token` None it stays where it was. `expected` counts only with `expects`; None then means that there
    is no token yet.
    """

    token: str | None
    expects: bool = False
    expected: str | None = None


def offset_move(token: str | None, expected: str | msgspec.UnsetType | None) -> OffsetMove | None:
    """What a request says of its offset; None when it says nothing."""
    if expected is not msgspec.UNSET:
        return OffsetMove(token, True, expected)
    return None if token is None else OffsetMove(token)


class InsertOptions(msgspec.Struct, frozen=True):
    """What a request asks for in its query; None where it does not say. What a JSON body says goes before."""

    update_schema: bool | None = None
    validate_only: bool | None = None
    skip_invalid_rows: bool | None = None
    offset: OffsetMove | None = None

    def updates(self, *, by_default: bool) -> bool:
        """Whether rows may change the schema when their body does not say."""
        return by_default if self.update_schema is None else self.update_schema

    def skipping(self, bounds: QuarantineBounds) -> Skipping:
        """Whether rows that do not fit are skipped when their body does not say."""
        return Skipping(bool(self.skip_invalid_rows), bounds)

    def validates_only(self, asked: bool | None) -> bool:
        """Whether the rows are to be checked and not kept; `asked` is what the body says."""
        return bool(self.validate_only if asked is None else asked)


NO_OPTIONS = InsertOptions()
