"""What the disk under the data directory is taken for."""

from pathlib import Path

import pytest

from rowkeep.model.health import DurabilityClass
from rowkeep.storage import durability
from rowkeep.storage.durability import HONEST_MS_MIN, classify, file_system_of, fsync_p50_ms


@pytest.mark.parametrize(
    ("file_system", "fsync_ms", "expected"),
    [
        ("ext4", 0.2, DurabilityClass.DURABLE),
        ("xfs", HONEST_MS_MIN, DurabilityClass.DURABLE),
        (None, 5.0, DurabilityClass.DURABLE),
        ("ext4", 0.001, DurabilityClass.SUSPICIOUS),
        ("tmpfs", 0.2, DurabilityClass.IN_MEMORY),
        ("nfs4", 3.0, DurabilityClass.REMOTE),
    ],
)
def test_classes(file_system: str | None, fsync_ms: float, expected: DurabilityClass) -> None:
    """Memory and networks are known by name, a disk that lies by its speed."""
    assert classify(file_system, fsync_ms) is expected


def test_the_file_system_is_found(tmp_path: Path) -> None:
    """The type of a mounted file system is what Linux says; a folder within it is on the same."""
    (tmp_path / "below").mkdir()
    assert file_system_of(tmp_path) == file_system_of(tmp_path / "below")
    assert file_system_of(Path("/proc")) == "proc"


def test_measuring_leaves_nothing_behind(tmp_path: Path) -> None:
    """The time is a positive number of milliseconds; the file that was written is gone."""
    assert 0 < fsync_p50_ms(tmp_path, 5) < 10_000
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("mounts", ["24 1 9999:1 / /mnt rw - ext4 /dev/none rw\n", None])
def test_a_file_system_that_nobody_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mounts: str | None
) -> None:
    """Where no mount has the folder's device, as below Btrfs, or no mounts are told, the type is unknown."""
    if mounts is not None:
        (tmp_path / "mountinfo").write_text(mounts)
    monkeypatch.setattr(durability, "_MOUNTS", tmp_path / "mountinfo")
    assert file_system_of(tmp_path) is None
