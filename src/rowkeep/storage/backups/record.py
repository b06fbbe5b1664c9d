"""The record of a backup: the file that says when it was made and how many segments it has."""

from datetime import UTC, datetime
from pathlib import Path

import msgspec

from rowkeep import __version__
from rowkeep.storage.base import StorageError

RECORD = "backup.json"
FORMAT = "rowkeep backup"


class BackupRecord(msgspec.Struct, rename="camel", frozen=True):
    """When a backup was begun, how many segments it has, and how many of them were copied and not linked."""

    made_at: datetime
    segment_count: int
    copied_count: int
    copied_bytes: int
    format: str = FORMAT
    written_by: str = f"rowkeep {__version__}"

    @property
    def age_text(self) -> str:
        """Returns when the backup was made, and how long ago that is, as text."""
        days = (datetime.now(UTC) - self.made_at).days
        ago = "today" if days < 1 else f"{days} day{'s' if days > 1 else ''} ago"
        return f"{self.made_at:%Y-%m-%d at %H:%M} UTC ({ago})"


def write_record(folder: Path, record: BackupRecord) -> None:
    """Writes the record of a backup that is not finished yet."""
    file = folder / RECORD
    file.touch(mode=0o600)
    file.write_bytes(msgspec.json.format(msgspec.json.encode(record)) + b"\n")


def read_record(folder: Path) -> BackupRecord | None:
    """Returns the record of a backup, or None where an earlier version made it. Raises StorageError."""
    try:
        return msgspec.json.decode((folder / RECORD).read_bytes(), type=BackupRecord)
    except FileNotFoundError:
        return None
    except msgspec.DecodeError as error:
        raise StorageError(f"{folder / RECORD} cannot be read: {error}. The backup is damaged.") from error
