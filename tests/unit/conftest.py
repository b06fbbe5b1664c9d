"""Fixtures of the unit tests that need a database."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.read_world import World


@pytest.fixture(params=["journal", "segments"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    """A database with an empty table, and the services over it; all rows in entries, then all in segments."""
    with asyncio.Runner() as runner:
        made = World(tmp_path, runner, seals=request.param == "segments")
        yield made
        made.close()
