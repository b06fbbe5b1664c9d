"""Health, readiness and metrics, for the tools of operators."""

import hmac
from collections.abc import Callable, Iterator
from typing import Literal

import msgspec
from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from rowkeep.api.http.request import ApiRequest
from rowkeep.api.http.routes import TEXT_TYPES, Route, RouteTable
from rowkeep.api.http.shapes import Shape
from rowkeep.api.http.traffic import REFUSALS, Traffic
from rowkeep.api.http.wire import Answer, json_answer
from rowkeep.model.errors import ErrorCode, invalid_token, not_found
from rowkeep.model.health import DiskFigures, Durability, Health, PlaceFigures
from rowkeep.services.access import token_hash
from rowkeep.services.maintenance import MaintenanceHealth


class LiveFigures(msgspec.Struct, frozen=True):
    """The counts of answers that last, of jobs, and of segments that were set aside."""

    followers: int
    followers_dropped: int
    long_inserts: int
    jobs_running: int
    jobs_completed: int
    jobs_failed: int
    segments_set_aside: int
    places: tuple[PlaceFigures, ...]
    disk: DiskFigures


class HealthResource(Shape, frozen=True, kw_only=True):
    """The process is up."""

    status: Literal["ok"] = "ok"


class Readiness(Shape, frozen=True, kw_only=True):
    """Whether the journal takes rows, the reason if not, and how durable the disk is."""

    status: Literal["ready", "failed"]
    durability: Durability
    reason: str | msgspec.UnsetType = msgspec.UNSET


class OperationsGate:
    """Decides who may ask for metrics and readiness:

    everybody, or callers with the token or by their address.
    """

    def __init__(self, token: str = "", *, is_apart: bool = False) -> None:
        self._token_hash = token_hash(token.encode()) if token else None
        self._is_apart = is_apart

    def check(self, request: ApiRequest) -> None:
        """Raises not_found_error and invalid_token."""
        if self._is_apart and not request.is_operator:
            raise not_found("There is nothing at this path.")
        found = request.caller.token_hash if self._token_hash is not None else None
        if self._token_hash is not None and not hmac.compare_digest(self._token_hash, found or b""):
            raise invalid_token("Send the token of --metrics-token as `Authorization: Bearer <token>`.")


class OperationHandlers:
    """Health and metrics; they say nothing about data."""

    def __init__(
        self,
        health: Callable[[], Health],
        maintenance: MaintenanceHealth,
        traffic: Traffic,
        live: Callable[[], LiveFigures],
        durability: Durability,
        gate: OperationsGate,
    ) -> None:
        self._gate = gate
        self._health = health
        self._durability = durability
        self._registry = CollectorRegistry()
        self._registry.register(_Figures(health, maintenance, traffic, live))
        ProcessCollector(registry=self._registry)

    def table(self) -> RouteTable:
        """Returns the routes."""
        return [
            Route("GET", "/healthz", self.is_alive, HealthResource),
            Route("GET", "/readyz", self.is_ready, Readiness, (401, 404, 503)),
            Route("GET", "/metrics", self.metrics, errors=(401, 404), media_types=TEXT_TYPES),
        ]

    async def is_alive(self, request: ApiRequest) -> Answer:
        """The process is up."""
        del request
        return json_answer(HealthResource())

    async def is_ready(self, request: ApiRequest) -> Answer:
        """The journal takes rows; 503 with the reason when it does not."""
        self._gate.check(request)
        failure = self._health().failure
        if failure is None:
            return json_answer(Readiness(status="ready", durability=self._durability))
        return json_answer(Readiness(status="failed", durability=self._durability, reason=failure), 503)

    async def metrics(self, request: ApiRequest) -> Answer:
        """Counters, gauges and histograms in Prometheus' text format."""
        self._gate.check(request)
        return Answer(
            200,
            [(b"content-type", b"text/plain; version=0.0.4; charset=utf-8")],
            generate_latest(self._registry),
        )


class _Figures(Collector):
    def __init__(
        self,
        health: Callable[[], Health],
        maintenance: MaintenanceHealth,
        traffic: Traffic,
        live: Callable[[], LiveFigures],
    ) -> None:
        self._health = health
        self._maintenance = maintenance
        self._traffic = traffic
        self._live = live

    def collect(self) -> Iterator[Metric]:
        health = self._health()
        requests = CounterMetricFamily("rowkeep_requests", "Requests answered, by status.", labels=["status"])
        for status, count in sorted(self._traffic.answers.items()):
            requests.add_metric([str(status)], count)
        yield requests
        yield _counter("rowkeep_rows_inserted", "Rows committed.", health.rows_inserted)
        yield _counter("rowkeep_batches_inserted", "Requests whose rows were committed.", health.batches)
        yield _counter("rowkeep_commits", "Commits of the journal, each one fsync.", health.groups)
        yield _counter("rowkeep_commit_seconds", "Time spent in commits.", health.commit_seconds)
        yield GaugeMetricFamily(
            "rowkeep_queue_bytes", "Bytes accepted and not yet committed.", health.queued_bytes
        )
        yield from self._traffic_figures()
        yield from self._maintenance_figures()
        live = self._live()
        yield from self._room_figures(live)
        yield GaugeMetricFamily("rowkeep_followers", "Readers that follow now.", live.followers)
        yield _counter("rowkeep_followers_dropped", "Readers that were too slow.", live.followers_dropped)
        yield GaugeMetricFamily("rowkeep_long_inserts", "Long inserts that go on now.", live.long_inserts)
        yield GaugeMetricFamily("rowkeep_jobs_running", "Loads and queries that run now.", live.jobs_running)
        yield _counter("rowkeep_jobs_completed", "Loads and queries that ended well.", live.jobs_completed)
        yield _counter("rowkeep_jobs_failed", "Loads and queries that failed.", live.jobs_failed)
        yield _counter("rowkeep_segments_set_aside", "Segments moved to lost+found.", live.segments_set_aside)
        yield GaugeMetricFamily(
            "rowkeep_ready", "1 while the journal takes rows, else 0.", int(health.failure is None)
        )

    def _traffic_figures(self) -> Iterator[Metric]:
        refused = CounterMetricFamily(
            "rowkeep_refusals", "Requests refused, by the code of the error.", labels=["error"]
        )
        for code in ErrorCode:
            refused.add_metric([code.value], REFUSALS[code])
        yield refused
        routes = HistogramMetricFamily(
            "rowkeep_request_seconds",
            "Time until an answer began, by method and route.",
            labels=["method", "route"],
        )
        for (method, route), histogram in sorted(self._traffic.seconds.items()):
            routes.add_metric([method, route], histogram.buckets(), histogram.sum_seconds)
        yield routes
        phases = HistogramMetricFamily(
            "rowkeep_insert_phase_seconds", "Time of inserts, by phase.", labels=["phase"]
        )
        for phase, histogram in self._traffic.phases.items():
            phases.add_metric([phase], histogram.buckets(), histogram.sum_seconds)
        yield phases

    @staticmethod
    def _room_figures(live: LiveFigures) -> Iterator[Metric]:
        taken = GaugeMetricFamily("rowkeep_places_taken", "Places that are taken now.", labels=["kind"])
        places = GaugeMetricFamily("rowkeep_places", "Places that there are.", labels=["kind"])
        for figures in live.places:
            taken.add_metric([figures.kind], figures.taken)
            places.add_metric([figures.kind], figures.places_max)
        yield taken
        yield places
        disk = live.disk
        yield GaugeMetricFamily("rowkeep_disk_bytes", "Size of the data's disk.", disk.byte_count)
        yield GaugeMetricFamily("rowkeep_disk_free_bytes", "Free on that disk.", disk.free_bytes)
        yield GaugeMetricFamily("rowkeep_database_bytes", "Size of the database.", disk.database_bytes)

    def _maintenance_figures(self) -> Iterator[Metric]:
        health = self._maintenance
        yield GaugeMetricFamily(
            "rowkeep_journal_bytes", "Bytes of rows not yet in segments.", health.journal_bytes
        )
        yield _counter(
            "rowkeep_segments_sealed", "Segments written from the journal.", health.segments_sealed
        )
        yield _counter("rowkeep_rows_sealed", "Rows that left the journal.", health.rows_sealed)
        yield _counter("rowkeep_segments_compacted", "Segments replaced.", health.segments_compacted)
        yield _counter("rowkeep_maintenance_failures", "What maintenance had to put off.", health.failures)


def _counter(name: str, text: str, value: float) -> CounterMetricFamily:
    return CounterMetricFamily(name, text, value)
