"""Fixtures of the unit tests that need a database."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.readworld import World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A database with an empty table, and the services over it."""
    with asyncio.Runner() as runner:
        made = World(tmp_path, runner)
        yield made
        made.close()
