"""The endpoints of variable statistics. Source: contract 4.6."""

from typing import Any

from rowkeep.api.http.request import ApiRequest
from rowkeep.api.http.routes import API, RouteTable
from rowkeep.api.http.wire import Answer, json_answer
from rowkeep.api.resources.resources import table_uri, upload_uri
from rowkeep.services.statistics import StatisticsService, StatisticsView
from rowkeep.services.uploads import UploadView


class StatisticsHandlers:
    """Statistics of the variables of tables and uploads."""

    def __init__(self, statistics: StatisticsService) -> None:
        self._statistics = statistics

    def table(self) -> RouteTable:
        """The routes."""
        table, upload = f"{API}/tables/{{table}}", f"{API}/tables/{{table}}/uploads/{{upload}}"
        return [
            ("GET", f"{table}/variables/{{variable}}/statistics", self.get_of_table),
            ("GET", f"{upload}/variables/{{variable}}/statistics", self.get_of_upload),
        ]

    async def get_of_table(self, request: ApiRequest) -> Answer:
        """Statistics of a variable of a table; ask again while they are running."""
        view = await self._statistics.of_table(
            request.token_hash, request.segment("table"), request.segment("variable")
        )
        return json_answer(_resource(view))

    async def get_of_upload(self, request: ApiRequest) -> Answer:
        """Statistics of a variable of an upload; ask again while they are running."""
        view = await self._statistics.of_upload(
            request.token_hash,
            request.segment("table"),
            request.segment("upload"),
            request.segment("variable"),
        )
        return json_answer(_resource(view))


def _resource(view: StatisticsView) -> dict[str, Any]:
    parent, variable = view.parent, view.variable
    parent_uri = upload_uri(parent) if isinstance(parent, UploadView) else table_uri(parent)
    uri = f"{parent_uri}/variables/{variable.name}/statistics"
    found = view.statistics
    return {
        "kind": "variableStatistics",
        "uri": uri,
        "url": f"{API}{uri}",
        "variable": {"kind": "variable", "name": variable.name, "type": variable.type},
        "status": view.status,
        "count": found and found.count,
        "numDistinct": found and found.distinct_count,
        "min": found and found.minimum,
        "max": found and found.maximum,
        "mean": found and found.mean,
        "approxMedian": found and found.approximate_median,
        "stdDev": found and found.standard_deviation,
        "frequencyDistribution": _distribution(view),
        "geoCentroid": found and found.centroid,
        "geoBBox": found and found.bounding_box,
    }


def _distribution(view: StatisticsView) -> list[dict[str, Any]] | None:
    if view.statistics is None or view.statistics.frequencies is None:
        return None
    labels = {pair.value: pair.label for pair in view.variable.value_labels}
    return [
        {"value": value, "count": count, "label": labels.get(value)}
        for value, count in view.statistics.frequencies
    ]
