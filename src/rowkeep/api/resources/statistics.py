"""Statistics of variables. Source: contract 4.6."""

from typing import Literal

import msgspec

from rowkeep.api.http.request import ApiRequest
from rowkeep.api.http.routes import API, SEEN_ERRORS, Route, RouteTable
from rowkeep.api.http.shapes import Count, LocatedShape, Shape, located
from rowkeep.api.http.wire import Answer, json_answer
from rowkeep.api.resources.places import parent_uri
from rowkeep.model.statistics import BoundingBox, Point
from rowkeep.model.types import VariableType
from rowkeep.services.statistics import StatisticsService, StatisticsView

_Number = float | int


class NamedVariable(Shape, frozen=True, kw_only=True, tag_field="kind", tag="variable"):
    """The variable that the statistics describe."""

    name: str
    type: VariableType


class Frequency(Shape, frozen=True, kw_only=True):
    """A value of a variable, and the number of rows that have it."""

    value: str
    count: Count
    label: str | None


class VariableStatistics(LocatedShape, frozen=True, kw_only=True, tag_field="kind", tag="variableStatistics"):
    """The figures of a variable; null until they are completed, and where they make no sense."""

    variable: NamedVariable
    status: Literal["queued", "running", "completed", "failed"]
    count: Count | None = None
    num_distinct: Count | None = None
    min: _Number | None = None
    max: _Number | None = None
    mean: _Number | None = None
    approx_median: _Number | None = None
    std_dev: _Number | None = None
    frequency_distribution: list[Frequency] | None = None
    geo_centroid: Point | None = None
    geo_bbox: BoundingBox | None = msgspec.field(default=None, name="geoBBox")


class StatisticsHandlers:
    """Statistics of the variables of tables and uploads."""

    def __init__(self, statistics: StatisticsService) -> None:
        self._statistics = statistics

    def table(self) -> RouteTable:
        """Returns the routes."""
        table = f"{API}/tables/{{table}}"
        of_table = f"{table}/variables/{{variable}}/statistics"
        of_upload = f"{table}/uploads/{{upload}}/variables/{{variable}}/statistics"
        return [
            Route("GET", of_table, self.get_of_table, VariableStatistics, (*SEEN_ERRORS, 503)),
            Route("GET", of_upload, self.get_of_upload, VariableStatistics, (*SEEN_ERRORS, 503)),
        ]

    async def get_of_table(self, request: ApiRequest) -> Answer:
        """Statistics of a variable of a table; ask again while they are running."""
        view = await self._statistics.of_table(
            request.caller, request.segment("table"), request.segment("variable")
        )
        return json_answer(statistics_resource(view))

    async def get_of_upload(self, request: ApiRequest) -> Answer:
        """Statistics of a variable of an upload; ask again while they are running."""
        view = await self._statistics.of_upload(
            request.caller,
            request.segment("table"),
            request.segment("upload"),
            request.segment("variable"),
        )
        return json_answer(statistics_resource(view))


def statistics_resource(view: StatisticsView) -> VariableStatistics:
    """Returns what is shown of statistics."""
    variable, found = view.variable, view.statistics
    shown = VariableStatistics(
        variable=NamedVariable(name=variable.name, type=variable.type),
        status=view.status.value,
        **located(f"{parent_uri(view.parent)}/variables/{variable.name}/statistics"),
    )
    if found is None:
        return shown
    return msgspec.structs.replace(
        shown,
        count=found.count,
        num_distinct=found.distinct_count,
        min=found.minimum,
        max=found.maximum,
        mean=found.mean,
        approx_median=found.approximate_median,
        std_dev=found.standard_deviation,
        frequency_distribution=_distribution(view),
        geo_centroid=found.centroid,
        geo_bbox=found.bounding_box,
    )


def _distribution(view: StatisticsView) -> list[Frequency] | None:
    if view.statistics is None or view.statistics.frequencies is None:
        return None
    labels = {pair.value: pair.label for pair in view.variable.value_labels}
    return [
        Frequency(value=value, count=count, label=labels.get(value))
        for value, count in view.statistics.frequencies
    ]
