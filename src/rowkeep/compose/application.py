"""The application over a data directory: opened from the bottom up, closed in the opposite order."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from rowkeep.api.http.access_log import AccessLog
from rowkeep.api.http.app import RowkeepApplication
from rowkeep.api.http.asgi import Application, Receive
from rowkeep.api.http.body import BodyLimits, BodyReader
from rowkeep.api.http.cors import CorsPolicy
from rowkeep.api.http.endpoint import Bounds
from rowkeep.api.http.forwarded import ForwardedRequests, trusted_networks
from rowkeep.api.http.incoming import Lingering
from rowkeep.api.http.multipart import MultipartForm
from rowkeep.api.http.openapi import document
from rowkeep.api.http.operations import OperatorsEntrance
from rowkeep.api.http.routes import RouteTable, routes_of
from rowkeep.api.http.traffic import Traffic
from rowkeep.api.resources.insert_rows import InsertRows
from rowkeep.api.resources.long_insert import LongInserts
from rowkeep.compose.console import console_over
from rowkeep.compose.figures import Figures
from rowkeep.compose.processes import Workers, start_workers
from rowkeep.compose.resources import route_table
from rowkeep.compose.services import Services, services_over
from rowkeep.compose.storage import Storage, durability_of, open_storage
from rowkeep.config import Settings
from rowkeep.limits import ask_limits
from rowkeep.services.datasets import DatasetService
from rowkeep.services.insert.long_insert import LongInsertService
from rowkeep.services.upkeep import Retention, keep_up
from rowkeep.storage.base import Database
from rowkeep.storage.local_files import DataDirectory
from rowkeep.storage.modes import close_to_others
from rowkeep.storage.opening import open_database, open_segments
from rowkeep.web.pages.every_page import ApiParts


@asynccontextmanager
async def open_application(settings: Settings) -> AsyncIterator[RowkeepApplication]:
    """Opens the data directory and the application over it; closes them in the opposite order."""
    directory = DataDirectory(settings.data_dir)
    database = open_database(directory)  # before anything is removed: it refuses what is not rowkeep's
    directory.sweep()
    close_to_others(directory)
    try:
        async with application_over(database, directory, settings) as application:
            yield application
    finally:
        database.close()


def entrance_of(application: RowkeepApplication, settings: Settings) -> Application:
    """Returns the application that the HTTP server calls, behind the layers that the settings ask for."""
    entrance: Application = application
    if settings.access_log or settings.log_level == "debug":
        entrance = AccessLog(entrance, is_debugging=not settings.access_log)
    networks = trusted_networks(settings.trusted_proxies)
    return ForwardedRequests(entrance, networks) if networks else entrance


def operators_entrance_of(application: RowkeepApplication) -> Application:
    """Returns the application for health and metrics alone, for an address of its own."""
    return OperatorsEntrance(application)


@asynccontextmanager
async def application_over(
    database: Database, directory: DataDirectory, settings: Settings
) -> AsyncIterator[RowkeepApplication]:
    """Builds services and the application over an open database; the database stays open.

    Each part says how it is closed when it is made; they are closed in the opposite order.
    """
    async with AsyncExitStack() as stack:
        storage = await open_storage(database, directory, open_segments(directory), settings, stack)
        workers = await start_workers(storage, settings, stack)
        yield _application(storage, workers, settings, stack)


def _application(
    storage: Storage, workers: Workers, settings: Settings, stack: AsyncExitStack
) -> RowkeepApplication:
    services = services_over(storage, workers, settings, stack)
    bodies = BodyReader(_body_limits(settings))
    traffic = Traffic()
    _start_upkeep(storage, workers, services, settings, stack)
    stack.callback(asyncio.create_task(bodies.watch()).cancel)
    figures = Figures(storage, services, traffic, durability_of(storage.directory))
    table = route_table(storage, services, figures, settings)
    return RowkeepApplication(
        InsertRows(services.inserts, bodies, services.insert_limits),
        _long_inserts(services.long_inserts, settings),
        routes_of(table, bodies, DatasetService(storage.doors).check_token, _bounds(services, settings)),
        _lingering(settings),
        CorsPolicy(settings.cors_origins),
        traffic,
        (services.follows.stop, services.long_inserts.stop),
        console_over(storage, services, _api_parts(bodies, table, figures, settings), settings),
    )


def _api_parts(bodies: BodyReader, table: RouteTable, figures: Figures, settings: Settings) -> ApiParts:
    """Returns the parts of the API that pages use: its document, its figures, and the reading of forms."""

    def form(content_type: bytes, receive: Receive) -> MultipartForm:
        return MultipartForm(content_type, bodies.parts(receive))

    return ApiParts(form, lambda: document(table), figures.shown(settings))


def _start_upkeep(
    storage: Storage, workers: Workers, services: Services, settings: Settings, stack: AsyncExitStack
) -> None:
    """Starts the background work, which runs until the application is closed."""
    retention = Retention(settings.query_result_hours, settings.export_hours, settings.audit_days)
    files = services.content_files, services.exported_files, services.raw_contents
    for work in (
        services.maintenance.run(),
        keep_up(storage.doors, workers.sealing, *files, retention),
        services.follows.watch(),
        services.jobs.run(),
    ):
        stack.callback(asyncio.create_task(work).cancel)


def _bounds(services: Services, settings: Settings) -> Bounds:
    return Bounds(ask_limits(settings), services.places["reads"], settings.read_stall_seconds_max)


def _body_limits(settings: Settings) -> BodyLimits:
    return BodyLimits(
        settings.body_bytes_max,
        settings.compressed_body_bytes_max,
        settings.body_stall_seconds_max,
        settings.body_bytes_per_second_min,
    )


def _lingering(settings: Settings) -> Lingering:
    bytes_max = max(settings.body_bytes_max, settings.compressed_body_bytes_max)
    return Lingering(body_bytes_max=bytes_max, bytes_per_second_min=settings.body_bytes_per_second_min)


def _long_inserts(inserts: LongInsertService, settings: Settings) -> LongInserts:
    return LongInserts(
        inserts,
        idle_seconds_max=settings.long_insert_idle_seconds_max,
        stall_seconds_max=settings.body_stall_seconds_max,
    )
