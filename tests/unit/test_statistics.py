"""Statistics of one variable against what plain Python makes of the same values."""

import datetime
import math
import statistics
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rowkeep.model.access import Scope
from rowkeep.model.resources import ReadFormat, ReadStream
from rowkeep.model.schema import Schema, Variable
from rowkeep.model.statistics import BoundingBox, Point, Statistics
from rowkeep.model.types import VariableType
from rowkeep.services.read.read import slices_of
from rowkeep.storage.doors import read_snapshot
from rowkeep.storage.duck import FREQUENCIES_MAX, DuckStatistics
from tests.unit.read_world import World

TYPES = [type_.value for type_ in VariableType]


class Measured:
    """Computes the statistics of columns over a real journal."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._engine = DuckStatistics(world.database, world.folder, world.readings)
        self._uploads = 0

    def of(self, type_: str, values: list[Any]) -> Statistics:
        """The statistics of these values in a new upload."""
        self._uploads += 1
        name = f"u{self._uploads}"
        self._world.create(name, [{"name": "v", "type": type_}])
        self._world.insert(name, [{"v": value} for value in values])
        slices = read_snapshot(
            self._world.database, lambda view: slices_of(view, view.uploads.page(1, 0, 10_000)[-1:], None)
        )
        schema = Schema(1, (Variable("v", VariableType(type_)),))
        stream = ReadStream("", None, Scope.PUBLIC, 0, ReadFormat.ARROW, schema, tuple(slices))
        return self._world.run(self._engine.compute(stream))

    def close(self) -> None:
        """Ends the threads."""
        self._engine.close()


@pytest.fixture
def measured(world: World) -> Iterator[Measured]:
    """Statistics over a fresh database."""
    engine = Measured(world)
    yield engine
    engine.close()


@pytest.mark.parametrize("type_", TYPES)
@pytest.mark.parametrize("values", [[], [None, None]], ids=["no rows", "nulls"])
def test_nothing_has_no_figures(measured: Measured, type_: str, values: list[None]) -> None:
    """A column without a value counts nothing and has no figures."""
    found = measured.of(type_, values)
    frequencies = None if type_ == "geography" else ()
    assert found == Statistics(count=0, distinct_count=0, frequencies=frequencies)


def test_integers_are_exact(measured: Measured) -> None:
    """The ends of int64 come back exactly; the mean does not overflow."""
    found = measured.of("integer", [-(2**63), 2**63 - 1, 2**63 - 1, None])
    assert (found.count, found.distinct_count) == (3, 2)
    assert (found.minimum, found.maximum) == (-(2**63), 2**63 - 1)
    assert found.mean == pytest.approx((2**63) / 3)
    assert found.frequencies == ((str(2**63 - 1), 2), (str(-(2**63)), 1))


def test_floats_at_the_end_of_their_range(measured: Measured) -> None:
    """Sums that no double holds do not spoil mean and deviation; no figure is infinite or no number."""
    found = measured.of("float", [1.7e308, 1.7e308, -1.7e308])
    assert found.mean == pytest.approx(1.7e308 / 3)
    assert found.standard_deviation is None or math.isfinite(found.standard_deviation)
    assert (found.minimum, found.maximum) == (-1.7e308, 1.7e308)


def test_booleans_are_counted(measured: Measured) -> None:
    """A boolean has frequencies and nothing to measure."""
    found = measured.of("boolean", [True, False, True, None])
    assert found == Statistics(count=3, distinct_count=2, frequencies=(("true", 2), ("false", 1)))


def test_texts_are_measured_by_their_length(measured: Measured) -> None:
    """Length counts characters, also beyond 16 bits; a text has no standard deviation."""
    found = measured.of("string", ["", "ab", "\U0001f600\U0001f600\U0001f600", "a\u0000"])
    assert (found.minimum, found.maximum, found.mean) == (0, 3, pytest.approx(7 / 4))
    assert found.standard_deviation is None
    assert found.distinct_count == 4


def test_times_are_milliseconds(measured: Measured) -> None:
    """Dates and dateTimes count from 1970, times from midnight, over their whole range."""
    day = 86_400_000
    dates = measured.of("date", ["1970-01-01", "1970-01-03", "0001-01-01", "9999-12-31"])
    first = (datetime.date(1, 1, 1) - datetime.date(1970, 1, 1)).days
    last = (datetime.date(9999, 12, 31) - datetime.date(1970, 1, 1)).days
    assert (dates.minimum, dates.maximum) == (first * day, last * day)
    assert dates.frequencies is not None
    assert ("1970-01-03", 1) in dates.frequencies
    moments = measured.of("dateTime", ["1970-01-01 00:00:00.5", "1969-12-31T23:59:59.999999"])
    assert (moments.minimum, moments.maximum) == (-0.001, 500)
    times = measured.of("time", ["00:00:01", "00:00:03"])
    assert (times.minimum, times.maximum, times.mean) == (1000, 3000, 2000)
    assert times.standard_deviation == pytest.approx(math.sqrt(2) * 1000)


def test_geographies_are_measured_by_their_vertices(measured: Measured) -> None:
    """A geography has vertices, a place in the box of all, and no frequencies; an empty one lies nowhere."""
    found = measured.of(
        "geography",
        ["POINT(10 20)", "LINESTRING(0 0, 2 0)", "POLYGON((0 0, 0 4, 4 4, 4 0, 0 0))", "POINT EMPTY"],
    )
    assert (found.count, found.minimum, found.maximum) == (4, 0, 5)
    assert found.bounding_box == BoundingBox(0, 10, 20, 0)
    assert found.centroid == Point((10 + 1 + 2) / 3, (20 + 0 + 2) / 3)
    assert found.frequencies is None


def test_many_different_values_have_no_frequencies(measured: Measured) -> None:
    """Frequencies are given for up to a thousand different values."""
    found = measured.of("integer", list(range(FREQUENCIES_MAX)))
    assert found.frequencies is not None
    assert len(found.frequencies) == FREQUENCIES_MAX
    assert measured.of("integer", list(range(FREQUENCIES_MAX + 1))).frequencies is None


@given(values=st.lists(st.none() | st.integers(-(10**6), 10**6), max_size=200))
@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_figures_are_those_of_plain_python(measured: Measured, values: list[int | None]) -> None:
    """Every figure of a column of integers, against the standard library."""
    found = measured.of("integer", values)
    present = [value for value in values if value is not None]
    assert (found.count, found.distinct_count) == (len(present), len(set(present)))
    assert found.frequencies is not None
    assert dict(found.frequencies) == {str(value): count for value, count in Counter(present).items()}
    if present:
        assert (found.minimum, found.maximum) == (min(present), max(present))
        assert found.mean == pytest.approx(statistics.fmean(present), abs=1e-6)
        assert found.approximate_median is not None
        assert min(present) <= found.approximate_median <= max(present)
    if len(present) > 1:
        assert found.standard_deviation == pytest.approx(statistics.stdev(present), abs=1e-6)
