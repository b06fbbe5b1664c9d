"""Loads: jobs that read a file into an upload."""

from collections.abc import Mapping

import msgspec

from rowkeep.model.files import BadRecord, Detected, FileOptions
from rowkeep.model.quarantine import RefusedRows
from rowkeep.model.recovery import UploadPlace
from rowkeep.model.resources import Segment
from rowkeep.model.schema import Schema, VariableMetadata
from rowkeep.model.transfers import Transfer


class LoadArguments(msgspec.Struct, frozen=True):
    """The arguments of a load: the temporary upload with the content, and its sender's options.

    `metadata` is by variable name, as its sender spells it. `content_bytes` is the file's size. `place` is
    where the upload is that the load fills. With a `transfer` the server first fetches the content; the size
    is 0 until then.
    """

    temp_upload: str
    content_bytes: int
    options: FileOptions
    metadata: Mapping[str, VariableMetadata] = {}
    place: UploadPlace | None = None
    transfer: Transfer | None = None


class LoadResult(msgspec.Struct, frozen=True, omit_defaults=True):
    """The result of a load beside the rows: the detected properties of its file, and the first bad records.

    `fetched_bytes` is the size of content that the server fetched itself.
    """

    detected: Detected | None = None
    bad_record_count: int = 0
    bad_records: tuple[BadRecord, ...] = ()
    warnings: tuple[str, ...] = ()
    fetched_bytes: int | None = None


class LoadAnswer(msgspec.Struct, frozen=True):
    """A worker's answer about a file: what it has made, or the bad records that may not be skipped."""

    loaded: "LoadedFile | None" = None
    bad_records: tuple[BadRecord, ...] = ()
    bad_record_count: int = 0


class LoadedFile(msgspec.Struct, frozen=True):
    """What a load has made: durable segments that nothing names yet, and the facts about them.

    `byte_count` is the size of the rows as if they had been streamed. `refused` are the skipped records.
    """

    schema: Schema
    row_count: int
    byte_count: int
    chain: bytes
    segments: tuple[Segment, ...]
    result: LoadResult
    refused: RefusedRows | None = None
