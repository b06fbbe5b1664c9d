"""The options of an insertRows request: the format of its body, and what is to be done with its rows."""

from enum import StrEnum

import msgspec

from rowkeep.model.quarantine import QuarantineBounds, Skipping


class BodyFormat(StrEnum):
    """The formats of a body with rows: one JSON object with `rows`, one row a line, or an Arrow stream."""

    JSON = "json"
    LINES = "ndjson"
    ARROW = "arrow"


class OffsetMove(msgspec.Struct, frozen=True):
    """A producer's new offset token, and the token that it expects to replace.

    With `token` None the token stays as it was. `expected` counts only when `expects` is true; None then
    means that there is no token yet.
    """

    token: str | None
    expects: bool = False
    expected: str | None = None


def offset_move(token: str | None, expected: str | msgspec.UnsetType | None) -> OffsetMove | None:
    """Returns what a request says of its offset, or None when it says nothing."""
    if expected is not msgspec.UNSET:
        return OffsetMove(token, True, expected)
    return None if token is None else OffsetMove(token)


class InsertOptions(msgspec.Struct, frozen=True):
    """The options in a request's query. None means not given. A JSON body's own options come first."""

    update_schema: bool | None = None
    validate_only: bool | None = None
    skip_invalid_rows: bool | None = None
    offset: OffsetMove | None = None

    def updates(self, *, by_default: bool) -> bool:
        """Returns whether rows may change the schema when their body does not say."""
        return by_default if self.update_schema is None else self.update_schema

    def skipping(self, bounds: QuarantineBounds) -> Skipping:
        """Returns whether rows that do not fit are skipped when their body does not say."""
        return Skipping(bool(self.skip_invalid_rows), bounds)

    def validates_only(self, asked: bool | None) -> bool:
        """Returns whether the rows are only checked and not kept. `asked` is what the body says."""
        return bool(self.validate_only if asked is None else asked)


NO_OPTIONS = InsertOptions()
