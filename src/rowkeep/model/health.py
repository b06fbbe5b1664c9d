"""Figures about the state of the server."""

from enum import StrEnum

import msgspec


class DurabilityClass(StrEnum):
    """How far an fsync on the data directory's disk can be trusted."""

    DURABLE = "durable"
    SUSPICIOUS = "suspicious"
    IN_MEMORY = "in_memory"
    REMOTE = "remote"


class Durability(msgspec.Struct, frozen=True, rename="camel"):
    """What was measured on the disk of the data directory. `fsync_ms` is the median for 4 KiB."""

    class_: DurabilityClass = msgspec.field(name="class")
    fsync_ms: float
    file_system: str | None


class DiskFigures(msgspec.Struct, frozen=True):
    """The size of the data directory's disk, its free bytes, and the bytes that the database takes."""

    byte_count: int
    free_bytes: int
    database_bytes: int


class PlaceFigures(msgspec.Struct, frozen=True):
    """The number of places of one kind, and how many of them are taken."""

    kind: str
    places_max: int
    taken: int


class Health(msgspec.Struct, frozen=True):
    """Figures since the start of the process. `failure` is the reason when nothing is written any more."""

    failure: str | None
    queued_bytes: int
    rows_inserted: int
    batches: int
    groups: int
    commit_seconds: float
