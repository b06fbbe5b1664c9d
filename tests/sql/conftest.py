"""One engine for all tests of this room."""

from collections.abc import Iterator

import pytest

from tests.sql.small_engine import SmallEngine, small_engine


@pytest.fixture(scope="session")
def engine() -> Iterator[SmallEngine]:
    """An engine over the table t."""
    with small_engine() as made:
        yield made
