"""Asking for statistics: who asks while they are computed, what is kept of them, what is not."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from rowkeep.services import statistics
from rowkeep.services.statistics import ComputationStatus, StatisticsService, StatisticsView
from rowkeep.storage.duck import DuckStatistics
from tests.unit.read_world import TABLE, World

NAMES = ("a", "b", "c")


class Questions:
    """A service over the columns of one upload, whose rows are in one segment."""

    def __init__(self, folder: Path, runner: asyncio.Runner) -> None:
        self.world = World(folder, runner, seals=True)
        self.world.create("s", [{"name": name, "type": "integer"} for name in NAMES])
        self.world.insert("s", [dict.fromkeys(NAMES, number) for number in range(3)])
        self._engine = DuckStatistics(self.world.database, folder, self.world.readings)
        self._service = StatisticsService(self.world.doors, self._engine)

    def ask(self, name: str) -> StatisticsView:
        """What the service says of a variable now."""
        return self.world.run(self._service.of_table(self.world.owner, TABLE, name))

    def ended(self, name: str) -> StatisticsView:
        """What it says when it is through."""
        while (found := self.ask(name)).status is ComputationStatus.RUNNING:
            pass
        return found

    @property
    def segment(self) -> Path:
        """The file that holds the rows."""
        [file] = self.world.directory.segments.iterdir()
        return file

    def close(self) -> None:
        self._engine.close()


@pytest.fixture
def questions(tmp_path: Path) -> Iterator[Questions]:
    """Rows to ask about."""
    with asyncio.Runner() as runner:
        made = Questions(tmp_path, runner)
        yield made
        made.close()
        made.world.close()


def test_who_asks_meanwhile_shares_the_computation(
    questions: Questions, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is said to be running to everyone, and is made once."""
    monkeypatch.setattr(statistics, "WAIT_SECONDS_MAX", 0)
    first, second = questions.ask("a"), questions.ask("A")
    assert first.status is second.status is ComputationStatus.RUNNING
    assert first.statistics is second.statistics is None
    found = questions.ended("a")
    assert found.statistics is not None
    assert (found.status, found.statistics.maximum) == (ComputationStatus.COMPLETED, 2)
    questions.segment.unlink()
    assert questions.ask("a").statistics is found.statistics


def test_a_failure_is_told_and_not_kept(questions: Questions, capsys: pytest.CaptureFixture[str]) -> None:
    """Over a damaged segment the computation fails and the log says why; once it is whole, it is made."""
    structlog.reset_defaults()  # a server in this process may have sent the log elsewhere
    content = questions.segment.read_bytes()
    questions.segment.write_bytes(content[:-1])
    found = questions.ended("a")
    assert (found.status, found.statistics) == (ComputationStatus.FAILED, None)
    assert "statistics failed" in capsys.readouterr().out
    questions.segment.write_bytes(content)
    assert questions.ended("a").status is ComputationStatus.COMPLETED


def test_the_oldest_results_make_room(questions: Questions, monkeypatch: pytest.MonkeyPatch) -> None:
    """So many bytes are kept; those asked for last stay, which shows when the rows can be read no more."""
    service = questions._service
    for name in ("a", "b"):
        assert questions.ended(name).status is ComputationStatus.COMPLETED
    monkeypatch.setattr(service._results, "_bytes_max", service._results.byte_count * 5 // 4)
    monkeypatch.setattr("rowkeep.model.bounded_cache._SHARE", 1)
    for name in ("a", "b", "a", "c"):
        assert questions.ended(name).status is ComputationStatus.COMPLETED
    questions.segment.unlink()
    kept = {name for name in NAMES if questions.ended(name).status is ComputationStatus.COMPLETED}
    assert kept == {"a", "c"}


def test_a_server_that_stops_leaves_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A computation that the end of the event loop cancels is no failure, and nothing is said of it."""
    monkeypatch.setattr(statistics, "WAIT_SECONDS_MAX", 0)
    with asyncio.Runner() as runner:
        questions = Questions(tmp_path, runner)
        assert questions.ask("a").status is ComputationStatus.RUNNING
        questions.world.close()
    questions.close()
    assert capsys.readouterr().out == ""
