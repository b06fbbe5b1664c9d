"""The state of the server, for its operators, in words. Programs find it in `/readyz` and `/metrics`."""

from collections.abc import Callable, Mapping
from http import HTTPStatus

import msgspec

from rowkeep.model.health import DiskFigures, Durability, DurabilityClass, Health, PlaceFigures
from rowkeep.model.histogram import Histogram
from rowkeep.services.maintenance import MaintenanceHealth
from rowkeep.web.answers import PageAnswer, html_answer
from rowkeep.web.rendering import render
from rowkeep.web.requests import PageRequest
from rowkeep.web.routes import PageRoute, PageTable
from rowkeep.web.sessions import Session

_DISKS = {
    DurabilityClass.DURABLE: "The disk keeps what was acknowledged.",
    DurabilityClass.SUSPICIOUS: "The disk acknowledges faster than disks can: a loss of power may lose rows.",
    DurabilityClass.IN_MEMORY: "The data directory is in memory: a restart of the machine loses everything.",
    DurabilityClass.REMOTE: "The data directory is on another machine, whose disk decides what is kept.",
}


class ServerFigures(msgspec.Struct, frozen=True):
    """The current figures. Counts are since the start of the process."""

    health: Health
    maintenance: MaintenanceHealth
    durability: Durability
    disk: DiskFigures
    places: tuple[PlaceFigures, ...]
    phases: Mapping[str, Histogram]
    answers: Mapping[int, int]
    jobs_completed: int
    jobs_failed: int
    segments_set_aside: int


class Phase(msgspec.Struct, frozen=True):
    """How long inserts were in a phase: bounds for half and for 99 of 100 of them, in milliseconds."""

    name: str
    count: int
    half_ms: str
    most_ms: str


FiguresNow = Callable[[], ServerFigures]


class ServerPages:
    """The page of the server. Where its figures take a token, the page says where to find them."""

    def __init__(self, figures: FiguresNow | None) -> None:
        self._figures = figures

    def table(self) -> PageTable:
        """Returns the routes."""
        return [PageRoute("GET", ("server",), self.show)]

    async def show(self, request: PageRequest, session: Session) -> PageAnswer:
        """Shows the current figures."""
        del request
        if self._figures is None:
            return html_answer(render("server_apart.html", session=session))
        figures = self._figures()
        page = render(
            "server.html",
            session=session,
            figures=figures,
            disk_words=_DISKS[figures.durability.class_],
            phases=[_phase(name, histogram) for name, histogram in figures.phases.items()],
            answers=[(status, _status(status), count) for status, count in sorted(figures.answers.items())],
        )
        return html_answer(page)


def _phase(name: str, histogram: Histogram) -> Phase:
    buckets = histogram.buckets()
    count = int(buckets[-1][1])
    return Phase(name, count, _at_most(buckets, count * 0.5), _at_most(buckets, count * 0.99))


def _at_most(buckets: list[tuple[str, float]], rank: float) -> str:
    """Returns the first bound that covers this share of the durations."""
    bound = next((bound for bound, total in buckets if total >= rank), "+Inf")
    return f"more than {_ms(buckets[-2][0])}" if bound == "+Inf" else f"at most {_ms(bound)}"


def _ms(seconds: str) -> str:
    return f"{float(seconds) * 1000:g}"


def _status(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""
