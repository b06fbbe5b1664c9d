"""Temporary uploads: files on their way from a caller to an upload. Source: contract 4.8."""

import msgspec


class TempUpload(msgspec.Struct, frozen=True):
    """A file that was sent to a table, or is being sent. Times are epoch milliseconds.

    `size` is how large it is said to become, `byte_count` how large it is: null until all of it is there.
    `received_byte_count` is how much of one that is sent in pieces is there, durable.
    `upload_id` is the upload that took it.
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
    """Which bytes of a file a request brings; `total` is how large the file is, if its sender knows."""

    first_byte: int
    total: int | None
