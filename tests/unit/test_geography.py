"""What is WKT and what is not. Source: contract 5."""

import subprocess
import sys

import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as some

from rowkeep.model.geography import geographies_are_valid, is_geography

GOOD = [
    "POINT(1 2)",
    "POINT (-1.5 2)",
    "point(1 2)",
    "POINT(1e-7 2E1)",
    "POINT Z (1 2 3)",
    "POINTZ(1 2 3)",
    "POINT M (1 2 3)",
    "POINT ZM (1 2 3 4)",
    "LINESTRING(0 0,1 1)",
    "POLYGON((0 0,1 0,1 1,0 0))",
    "POLYGON((0 0,9 0,9 9,0 0),(1 1,2 1,2 2,1 1))",
    "MULTIPOINT(1 1,2 2)",
    "MULTIPOINT((1 1),(2 2))",
    "MULTILINESTRING((0 0,1 1),(2 2,3 3))",
    "MULTIPOLYGON(((0 0,1 0,1 1,0 0)))",
    "GEOMETRYCOLLECTION(POINT(1 2),LINESTRING(0 0,1 1))",
    "GeometryCollection (Point (1 2))",
    "POINT EMPTY",
    "GEOMETRYCOLLECTION EMPTY",
    "GEOMETRYCOLLECTION(" * 32 + "POINT(1 2)" + ")" * 32,
]
BAD = [
    "",
    "POINT",
    "POINT()",
    "POINT(1)",
    "POINT(1 2",
    "POINT(1,2)",
    "POINT(a b)",
    "POINT(1 2) garbage",
    "POINT(1 2)POINT(1 2)",
    "POINT(1 2)\nPOINT(3 4)",
    "POINT(1 2)\x00",
    "POINT(1 2)\x00POINT(3 4)",
    "POINT(nan nan)",
    "POINT(inf 1)",
    "POINT(1e400 1)",
    "POINT(1e+0400 1)",
    "POINT(1" + "0" * 400 + " 1)",
    "LINESTRING(0 0)",
    "POLYGON((0 0,1 0,1 1))",
    "SRID=4326;POINT(1 2)",
    "0101000000000000000000F03F0000000000000040",
    "CIRCULARSTRING(0 0,1 1,2 0)",
    "COMPOUNDCURVE((0 0,1 1),CIRCULARSTRING(1 1,2 2,3 1))",
    "TRIANGLE((0 0,1 0,1 1,0 0))",
    "ＰOINT(1 2)",
    "\udc80POINT(1 2)",
]
NESTED = [
    "GEOMETRYCOLLECTION(",
    "CURVEPOLYGON(",
    "COMPOUNDCURVE(",
    "MULTICURVE(",
    "MULTISURFACE(",
    "CURVEPOLYGON(COMPOUNDCURVE(",
    "MULTISURFACE(CURVEPOLYGON(",
    "POLYGON(",
    "(",
]


@pytest.mark.parametrize("text", GOOD)
def test_good_geographies(text: str) -> None:
    """Points, lines, polygons, their multiples and collections, flat or not, are geographies."""
    assert is_geography(text)
    assert geographies_are_valid([text])


@pytest.mark.parametrize("text", BAD)
def test_bad_geographies(text: str) -> None:
    """Whatever GEOS or shapely cannot read, and what is not finite, is none."""
    assert not is_geography(text)
    assert not geographies_are_valid([text])
    assert not geographies_are_valid(["POINT(1 2)", None, text, "POINT(1 2)"])


def test_nulls_do_not_count() -> None:
    """A column of nulls is valid."""
    assert geographies_are_valid([])
    assert geographies_are_valid([None, None])


def test_deep_nesting_does_not_end_the_process() -> None:
    """Geometries nested 10,000 deep are refused before GEOS overflows the stack."""
    program = (
        "import sys\n"
        "from rowkeep.model.geography import is_geography\n"
        "for part in sys.argv[1:]:\n"
        "    for text in (part * 10000, part * 10000 + '0 0' + ')' * 20000):\n"
        "        assert not is_geography(text), part\n"
    )
    subprocess.run([sys.executable, "-c", program, *NESTED], check=True, timeout=60)


LONGITUDES = some.floats(-180, 180) | some.integers(-180, 180)
LATITUDES = some.floats(-90, 90) | some.integers(-90, 90)
PAIRS = some.tuples(LONGITUDES.map(repr), LATITUDES.map(repr)).map(" ".join)
ANYWHERE = some.floats(-200, 200).map(repr) | some.integers(-200, 200).map(repr)


@given(some.lists(PAIRS, min_size=1, max_size=5))
def test_points_are_judged_alike_alone_and_together(pairs: list[str]) -> None:
    """The quick look at plain points agrees with reading each."""
    points = [f"POINT({pair})" for pair in pairs]
    assert all(is_geography(point) for point in points)
    assert geographies_are_valid(points)


@given(ANYWHERE, ANYWHERE)
def test_a_point_is_on_earth_or_refused(longitude: str, latitude: str) -> None:
    """A longitude beyond 180 degrees or a latitude beyond 90 is refused, alone and together with others."""
    text = f"POINT({longitude} {latitude})"
    is_on_earth = abs(float(longitude)) <= 180 and abs(float(latitude)) <= 90
    assert is_geography(text) == is_on_earth
    assert geographies_are_valid(["POINT(1 2)", text]) == is_on_earth


@given(some.lists(some.text("POINT(1 2)\n.-", max_size=30), max_size=4))
def test_the_quick_look_takes_nothing_that_reading_refuses(texts: list[str]) -> None:
    """A request's geographies are valid exactly when each is."""
    assert geographies_are_valid(texts) == all(is_geography(text) for text in texts)


@given(some.text(max_size=80))
def test_any_text_is_judged_without_an_error(text: str) -> None:
    """No text raises, and what is taken shapely reads."""
    if is_geography(text):
        assert shapely.from_wkt(text) is not None
