"""What proofs that open thousands of data directories share."""

import asyncio
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

IN_MEMORY = Path("/dev/shm")


@pytest.fixture
def runner() -> Iterator[asyncio.Runner]:
    """The loop that all worlds of a test run on."""
    with asyncio.Runner() as made:
        yield made


@pytest.fixture
def quick_folder(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory, where there is one: what is tried on copies needs no real fsync."""
    parent = IN_MEMORY if IN_MEMORY.is_dir() else tmp_path
    with tempfile.TemporaryDirectory(dir=parent, prefix="rowkeep-") as folder:
        yield Path(folder)
