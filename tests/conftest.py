"""What tests of every kind use: running servers."""

from collections.abc import Iterator

import pytest

from tests.serverprocess import ServerProcess


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A running server that tests share; each makes its own datasets."""
    started = ServerProcess(tmp_path_factory.mktemp("server") / "data")
    started.start()
    yield started
    assert started.stop() == 0
    assert "internal error" not in started.log()
    started.close()


@pytest.fixture(scope="session")
def impatient_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A running server that gives a stalled body one second."""
    started = ServerProcess(tmp_path_factory.mktemp("impatient") / "data", body_stall_seconds_max="1")
    started.start()
    yield started
    started.close()


@pytest.fixture
def own_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A running server for one test, to be killed and restarted."""
    started = ServerProcess(tmp_path_factory.mktemp("own") / "data")
    started.start()
    yield started
    started.close()
