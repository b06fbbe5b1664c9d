"""What tests of every kind use: running servers, and the bound on how long a default test may take."""

from collections.abc import Generator, Iterator

import pytest
from hypothesis import HealthCheck, settings

from tests.quiet_clock import at_most
from tests.server_process import ServerProcess

# How long an example takes, or the making of one, says something of the machine's load alone.
settings.register_profile("any load", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any load")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds the option by which `.ci/run` bounds default tests."""
    parser.addoption("--test-seconds-max", type=float, help="fail a test that takes longer and is not long")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Holds each test that is not marked long to the bound, if there is one."""
    seconds_max = item.config.getoption("--test-seconds-max")
    if seconds_max is None or item.get_closest_marker("long"):
        return (yield)
    with at_most(seconds_max):
        return (yield)


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
