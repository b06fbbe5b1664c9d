"""The statistics of one variable. Source: contract 4.6.

Numbers are measured as they are, texts by their length in characters, geographies by their vertices, dates
and dateTimes as milliseconds since 1970-01-01, times as milliseconds since midnight.
"""

import msgspec


class BoundingBox(msgspec.Struct, frozen=True, rename="camel"):
    """The smallest box in longitude and latitude that holds everything."""

    west_longitude: float
    east_longitude: float
    north_latitude: float
    south_latitude: float


class Point(msgspec.Struct, frozen=True):
    """A place."""

    longitude: float
    latitude: float


class Statistics(msgspec.Struct, frozen=True):
    """The figures of one variable. A figure is None where it makes no sense or there is no value.

    `frequencies` are the values as text with their counts, the most frequent first. They are None when there
    are too many different values.
    """

    count: int
    distinct_count: int
    minimum: float | int | None = None
    maximum: float | int | None = None
    mean: float | None = None
    approximate_median: float | None = None
    standard_deviation: float | None = None
    frequencies: tuple[tuple[str, int], ...] | None = None
    centroid: Point | None = None
    bounding_box: BoundingBox | None = None
