"""How the server is doing, as records."""

from enum import StrEnum

import msgspec


class DurabilityClass(StrEnum):
    """What an fsync is worth on the disk of the data directory."""

    DURABLE = "durable"
    SUSPICIOUS = "suspicious"
    IN_MEMORY = "in_memory"
    REMOTE = "remote"


class Durability(msgspec.Struct, frozen=True, rename="camel"):
    """What the disk of the data directory was found to be; `fsync_ms` is the median for 4 KiB."""

    class_: DurabilityClass = msgspec.field(name="class")
    fsync_ms: float
    file_system: str | None


class DiskFigures(msgspec.Struct, frozen=True):
    """How large the disk of the data directory is, what is free on it, and what its database takes."""

    byte_count: int
    free_bytes: int
    database_bytes: int


class PlaceFigures(msgspec.Struct, frozen=True):
    """How many places of one kind there are, and how many are taken."""

    kind: str
    places_max: int
    taken: int


class Health(msgspec.Struct, frozen=True):
    """Figures since the start of the process. `failure` says why nothing is written any more."""

    failure: str | None
    queued_bytes: int
    rows_inserted: int
    batches: int
    groups: int
    commit_seconds: float
