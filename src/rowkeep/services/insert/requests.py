"""The parts of an insertRows request before its body, and the upload that it writes to."""

import hashlib

import msgspec

from rowkeep.model.access import Caller
from rowkeep.model.decoding.strict import RowDecoder
from rowkeep.model.inserts import NO_OPTIONS, BodyFormat, InsertOptions
from rowkeep.model.resources import Upload


class InsertTarget(msgspec.Struct, frozen=True):
    """What one caller needs to insert into one upload, as of a catalog version."""

    catalog_version: int
    upload: Upload
    decoder: RowDecoder
    expires_at_ms: int | None


class InsertRequest(msgspec.Struct, frozen=True):
    """One insertRows request without its body.

    `path` is the table reference and the upload's name, decoded.
    """

    caller: Caller
    path: tuple[str, str]
    key: str | None
    format: BodyFormat = BodyFormat.JSON
    options: InsertOptions = NO_OPTIONS

    def updates(self, target: InsertTarget) -> bool:
        """Returns whether rows may change the schema when the body does not say it itself."""
        return self.options.updates(by_default=target.upload.updates_by_default)


def request_digest(request: InsertRequest, body_digest: bytes) -> bytes:
    """Returns the digest that a key stands for: of the body and the options that decide what is inserted."""
    options = request.options
    meaning: tuple[object, ...] = (request.format, options.update_schema)
    if options.offset is not None:
        meaning = (*meaning, options.offset)
    if options.skip_invalid_rows is not None:
        meaning = (*meaning, options.skip_invalid_rows)
    if meaning == (BodyFormat.JSON, None):
        return body_digest
    return hashlib.sha256(body_digest + msgspec.json.encode(meaning)).digest()
