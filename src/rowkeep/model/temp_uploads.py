"""Temporary uploads: files on their way from a caller to an upload. Source: contract 4.8."""

import msgspec


class TempUpload(msgspec.Struct, frozen=True):
    """A file that is being or has been sent to a table. Times are epoch milliseconds.

    `size` is the announced size. `byte_count` is the actual size, null until all is there.
    `received_byte_count` is how much of a file that is sent in pieces is durable. `upload_id` is the upload
    that took it.
    """

    id: int
    identifier: str
    table_id: int
    user_id: int
    name: str | None
    size: int | None
    byte_count: int | None
    created_at: int
    expires_at: int
    upload_id: int | None
    received_byte_count: int = 0


class ContentPiece(msgspec.Struct, frozen=True):
    """The bytes of a file that a request brings. `total` is the size of the file, if its sender knows."""

    first_byte: int
    total: int | None
