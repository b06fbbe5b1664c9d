"""What tests of the API share."""

from collections.abc import Iterator

import pytest

from tests.api.access_world import World, open_world
from tests.api.stream import ALL_TYPES, Stream
from tests.server_process import ServerProcess


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A server with every caller and every target of the access matrix."""
    with open_world(tmp_path_factory.mktemp("world")) as opened:
        yield opened


@pytest.fixture
def stream(server: ServerProcess) -> Iterator[Stream]:
    """An empty stream with a variable of each type."""
    made = Stream(server.url, server.token, ALL_TYPES, server.user)
    yield made
    made.close()


@pytest.fixture
def growing(server: ServerProcess) -> Iterator[Stream]:
    """An empty stream that takes its variables from the rows."""
    made = Stream(server.url, server.token, None, server.user)
    yield made
    made.close()
