"""The figures of the server, for its metrics and for the operators' page."""

from collections.abc import Callable, Iterator

from rowkeep.api.http.traffic import Traffic
from rowkeep.api.resources.operations import LiveFigures, OperationHandlers, OperationsGate
from rowkeep.compose.services import Services
from rowkeep.compose.storage import Storage
from rowkeep.config import Settings
from rowkeep.model.health import Durability, PlaceFigures
from rowkeep.storage.local_files import disk_figures
from rowkeep.web.pages.server import ServerFigures


class Figures:
    """The counted and measured figures. Callers who may not ask for metrics get no page of them either."""

    def __init__(
        self, storage: Storage, services: Services, traffic: Traffic, durability: Durability
    ) -> None:
        self._storage = storage
        self._services = services
        self._traffic = traffic
        self._durability = durability

    def operations(self, settings: Settings) -> OperationHandlers:
        """Returns the handlers for operators' tools."""
        gate = OperationsGate(settings.metrics_token, is_apart=bool(settings.metrics_address))
        health, maintenance = self._storage.lane.health, self._services.maintenance.health
        return OperationHandlers(health, maintenance, self._traffic, self._live, self._durability, gate)

    def shown(self, settings: Settings) -> Callable[[], ServerFigures] | None:
        """Returns the figures for the page. None where metrics take a token or an address of their own."""
        return None if settings.metrics_token or settings.metrics_address else self._now

    def _now(self) -> ServerFigures:
        live = self._live()
        return ServerFigures(
            health=self._storage.lane.health(),
            maintenance=self._services.maintenance.health,
            durability=self._durability,
            disk=live.disk,
            places=live.places,
            phases=self._traffic.phases,
            answers=dict(self._traffic.answers),
            jobs_completed=live.jobs_completed,
            jobs_failed=live.jobs_failed,
            segments_set_aside=live.segments_set_aside,
        )

    def _live(self) -> LiveFigures:
        services = self._services
        return LiveFigures(
            services.follows.follower_count,
            services.follows.dropped_count,
            services.long_inserts.count,
            services.jobs.running_count,
            services.jobs.completed_count,
            services.jobs.failed_count,
            self._storage.sweep.set_aside_count,
            tuple(self._places()),
            disk_figures(self._storage.directory),
        )

    def _places(self) -> Iterator[PlaceFigures]:
        for kind, places in self._services.places.items():
            yield PlaceFigures(kind, places.places_max, places.taken_count)
        for job_kind, places_max in self._services.jobs.places.items():
            yield PlaceFigures(job_kind.value, places_max, self._services.jobs.running_of(job_kind))
