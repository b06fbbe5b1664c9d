"""Checks whether a text is a geography: WKT in longitude and latitude. Source: contract 5, 7.36, 7.37.

Plain points, nearly all that a stream holds, cost one regular expression for a whole request;
everything else is read by GEOS. A longitude lies within 180 degrees and a latitude within 90. What lies
beyond was mostly written in the other order.
"""

import math
import re
from collections.abc import Sequence
from typing import cast

import shapely

from rowkeep.model.statistics import BoundingBox, Point

LONGITUDE_MAX = 180
LATITUDE_MAX = 90
_FRACTION = r"(?:\.\d++)?+"
# Without alternatives, which would double the time. What it does not take, such as 180 and 90, GEOS reads.
_LONGITUDE = rf"-?\d{{1,2}}+(?:\d(?<=1[0-7]\d))?+{_FRACTION}"
_LATITUDE = rf"-?(?!9\d)\d{{1,2}}+{_FRACTION}"
_POINT = rf"POINT ?\({_LONGITUDE} {_LATITUDE}\)"
_plain_points = re.compile(rf"{_POINT}(?:\n{_POINT})*+", re.ASCII).fullmatch
_srid_match = re.compile(r"\s*SRID\s*=\s*(\d+)\s*;\s*", re.ASCII | re.IGNORECASE).match
_LONGITUDE_AND_LATITUDE = 4326  # the number that EWKT has for them
# GEOS reads nested geometries by recursion on the C stack, and a stack that overflows ends the process.
# Collections are counted; curves nest too, cannot be read by shapely, and are refused by their words.
_NESTED_COLLECTIONS_MAX = 32
_DIGITS_OF_DOUBLE = 17
_NOT_LETTERS = bytes(range(ord("A"))) + bytes(range(ord("Z") + 1, 128))
_SIMPLE = frozenset(
    multiple + shape + measure
    for multiple in (b"", b"MULTI")
    for shape in (b"POINT", b"LINESTRING", b"POLYGON")
    for measure in (b"", b"Z", b"M", b"ZM", b"EMPTY")
)
_words_match = re.compile(
    rb"(?:(?:MULTI)?(?:POINT|LINESTRING|POLYGON)|GEOMETRYCOLLECTION|EMPTY|ZM?|M|E)*+"
).fullmatch
# Numbers that a double cannot hold become infinite.
_has_large_exponent = re.compile(rb"E\+?0*+[1-9]\d\d").search
_DIGITS_TO_ZEROS = bytes.maketrans(b"123456789", b"0" * 9)
_TOO_MANY_DIGITS = b"0" * 300


def geographies_are_valid(texts: Sequence[str | None]) -> bool:
    """Returns whether every text is valid WKT. Nulls are passed over."""
    return are_plain_points(texts) or all(is_geography(text) for text in texts if text is not None)


def are_plain_points(texts: Sequence[str | None]) -> bool:
    """Returns whether every text is a point in its simplest spelling. Nulls are passed over."""
    present = [text for text in texts if text is not None] if None in texts else texts
    if not present:
        return True
    lines = "\n".join(cast(Sequence[str], present))
    return _plain_points(lines) is not None and lines.count("\n") == len(present) - 1


def is_geography(text: str) -> bool:
    """Returns whether a text is WKT of places on Earth: points, lines, polygons and collections of them."""
    shape = _shape(text)
    return shape is not None and _place_problem(shape) is None


def geography_of(text: str) -> str:
    """Returns the WKT of a text, without PostGIS's SRID in front. Raises ValueError with the reason."""
    srid = _srid_match(text)
    if srid is not None and int(srid[1][:9]) != _LONGITUDE_AND_LATITUDE:
        raise ValueError(
            f"it is in SRID {srid[1][:9]}; transform it to longitude and latitude, which is SRID 4326"
        )
    wkt = text if srid is None else text[srid.end() :]
    shape = _shape(wkt)
    if shape is None:
        raise ValueError("it is not WKT of points, lines, polygons or collections of them")
    problem = _place_problem(shape)
    if problem is not None:
        raise ValueError(problem)
    return wkt


def wkt_of_geojson(text: str) -> str:
    """Returns the WKT of a GeoJSON geometry, with all digits. Raises ValueError with the reason."""
    if text.count("GeometryCollection") > _NESTED_COLLECTIONS_MAX:
        raise ValueError("its collections are nested too deeply")
    shape = shapely.from_geojson(text, on_invalid="ignore")
    if shape is None:
        raise ValueError("it is not GeoJSON of points, lines, polygons or collections of them")
    return _checked_wkt(shape)


def wkt_of_wkb(content: bytes) -> str:
    """Returns the WKT of a geometry in WKB, with all digits. Raises ValueError with the reason."""
    try:
        shape = shapely.from_wkb(content)
    except shapely.errors.GEOSException as error:
        raise ValueError("it is not WKB of points, lines, polygons or collections of them") from error
    return _checked_wkt(shape)


def _checked_wkt(shape: shapely.Geometry) -> str:
    problem = _place_problem(shape)
    if problem is not None:
        raise ValueError(problem)
    return str(shapely.to_wkt(shape, rounding_precision=_DIGITS_OF_DOUBLE))


def _shape(text: str) -> shapely.Geometry | None:
    """Returns the shape that GEOS reads in a text, or None where GEOS is not to be trusted with it."""
    upper = text.encode(errors="replace").upper()
    if b"\x00" in upper:  # GEOS reads C strings and would stop at the first NUL
        return None
    words = upper.translate(None, _NOT_LETTERS)
    if words not in _SIMPLE and not (_words_match(words) and _is_readable(words, upper)):
        return None
    if len(upper) > len(_TOO_MANY_DIGITS) and _TOO_MANY_DIGITS in upper.translate(_DIGITS_TO_ZEROS):
        return None
    try:
        return cast(shapely.Geometry, shapely.from_wkt(text, on_invalid="raise"))
    except shapely.errors.GEOSException:
        return None


def _place_problem(shape: shapely.Geometry) -> str | None:
    """Returns why a shape is nowhere on Earth, or None."""
    west, south, east, north = shapely.bounds(shape).tolist()  # of an empty one NaN, which is beyond nothing
    for kind, degrees, degrees_max in (
        ("latitude", north, LATITUDE_MAX),
        ("latitude", south, LATITUDE_MAX),
        ("longitude", east, LONGITUDE_MAX),
        ("longitude", west, LONGITUDE_MAX),
    ):
        if abs(degrees) > degrees_max:
            return (
                f"the {kind} {degrees!r} is beyond {degrees_max} degrees; longitude comes first in WKT, "
                "as in POINT(longitude latitude)"
            )
    return None


def _is_readable(words: bytes, upper: bytes) -> bool:
    if words.count(b"GEOMETRYCOLLECTION") > _NESTED_COLLECTIONS_MAX:
        return False
    return b"E" not in words or _has_large_exponent(upper) is None


class GeographySummary:
    """Sums up where geographies lie. They are added a batch at a time."""

    def __init__(self) -> None:
        self._west = self._south = math.inf
        self._east = self._north = -math.inf
        self._longitudes = self._latitudes = 0.0
        self._count = 0

    def add(self, texts: Sequence[str | None]) -> list[int | None]:
        """Adds texts. Returns the number of vertices of each.

        Empty geographies have none, and lie nowhere.
        """
        shapes = shapely.from_wkt(list(texts), on_invalid="ignore")
        vertices = shapely.get_num_coordinates(shapes).tolist()
        placed = [shape for shape, count in zip(shapes, vertices, strict=True) if count]
        if placed:
            self._place(placed)
        return [None if text is None else count for text, count in zip(texts, vertices, strict=True)]

    def _place(self, shapes: list[shapely.Geometry]) -> None:
        west, south, east, north = shapely.total_bounds(shapes).tolist()
        self._west, self._south = min(self._west, west), min(self._south, south)
        self._east, self._north = max(self._east, east), max(self._north, north)
        centres = shapely.get_coordinates(shapely.centroid(shapes))
        self._longitudes += float(centres[:, 0].sum())
        self._latitudes += float(centres[:, 1].sum())
        self._count += len(centres)

    @property
    def centroid(self) -> Point | None:
        """Returns the mean of the centres, or None when there are no geographies."""
        if not self._count:
            return None
        return Point(self._longitudes / self._count, self._latitudes / self._count)

    @property
    def bounding_box(self) -> BoundingBox | None:
        """Returns the box that holds all geographies, or None when there are none."""
        if not self._count:
            return None
        return BoundingBox(self._west, self._east, self._north, self._south)
