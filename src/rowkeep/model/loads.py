"""Loads: the jobs that make an upload of a file."""

from collections.abc import Mapping

import msgspec

from rowkeep.model.files import BadRecord, Detected, FileOptions
from rowkeep.model.quarantine import RefusedRows
from rowkeep.model.recovery import UploadPlace
from rowkeep.model.resources import Segment
from rowkeep.model.schema import Schema, VariableMetadata
from rowkeep.model.transfers import Transfer


class LoadArguments(msgspec.Struct, frozen=True):
    """What a load is asked for: the temporary upload with the content, and what its sender says of it.

    `metadata` is by the names of variables as its sender spells them; `content_bytes` is the file's size,
    `place` where the upload is that it fills. With a `transfer` the server fetches the content
    first; the size is 0 until then.
    """

    temp_upload: str
    content_bytes: int
    options: FileOptions
    metadata: Mapping[str, VariableMetadata] = {}
    place: UploadPlace | None = None
    transfer: Transfer | None = None


class LoadResult(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a load came to, beside the rows: what its file was read as, and the first bad records.

    `fetched_bytes` is the size of content that the server fetched itself.
    """

    detected: Detected | None = None
    bad_record_count: int = 0
    bad_records: tuple[BadRecord, ...] = ()
    warnings: tuple[str, ...] = ()
    fetched_bytes: int | None = None


class LoadAnswer(msgspec.Struct, frozen=True):
    """What a worker says of a file: what it has made, or which records are bad and may not be skipped."""

    loaded: "LoadedFile | None" = None
    bad_records: tuple[BadRecord, ...] = ()
    bad_record_count: int = 0


class LoadedFile(msgspec.Struct, frozen=True):
    """What a load has made: durable segments that nothing names yet, and what is to be said of them.

    `byte_count` is the size of the rows as if they had been streamed. `refused` are the skipped records.
    """

    schema: Schema
    row_count: int
    byte_count: int
    chain: bytes
    segments: tuple[Segment, ...]
    result: LoadResult
    refused: RefusedRows | None = None
