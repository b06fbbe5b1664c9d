"""What tests of the API share."""

from collections.abc import Iterator

import pytest

from tests.api.accessworld import World, open_world


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A server with every caller and every target of the access matrix."""
    with open_world(tmp_path_factory.mktemp("world")) as opened:
        yield opened
