"""The limits that settings put on work, as the rooms that keep them take them."""

from rowkeep.config import Settings
from rowkeep.model.places import Places
from rowkeep.model.quarantine import QuarantineBounds
from rowkeep.model.rate_limits import InsertLimits, RateUnit, insert_limits
from rowkeep.model.request_limits import RequestLimits, request_limits
from rowkeep.model.worker_jobs import WorkerLimits


def quarantine_bounds(settings: Settings) -> QuarantineBounds:
    """Returns the bounds of a quarantine."""
    return QuarantineBounds(settings.quarantine_rows_max, settings.quarantine_bytes_max)


def query_limits(settings: Settings) -> WorkerLimits:
    """Returns the limits of a query's worker."""
    return WorkerLimits(
        memory_bytes_max=settings.query_memory_bytes_max,
        seconds_max=settings.query_seconds_max,
        scratch_bytes_max=settings.query_scratch_bytes_max,
        free_bytes_min=settings.disk_reserve_bytes_min,
    )


def export_limits(settings: Settings) -> WorkerLimits:
    """Returns the limits of an export's worker."""
    return WorkerLimits(
        memory_bytes_max=settings.export_memory_bytes_max,
        seconds_max=settings.export_seconds_max,
        scratch_bytes_max=settings.export_scratch_bytes_max,
        free_bytes_min=settings.disk_reserve_bytes_min,
    )


def load_limits(settings: Settings) -> WorkerLimits:
    """Returns the limits of a load's worker."""
    return WorkerLimits(
        memory_bytes_max=settings.load_memory_bytes_max,
        seconds_max=settings.load_seconds_max,
        scratch_bytes_max=settings.load_scratch_bytes_max,
        free_bytes_min=settings.disk_reserve_bytes_min,
    )


def read_places(settings: Settings) -> Places:
    """Returns the places for bodies of rows that are sent at the same time."""
    advice = "Let some of them end, and try again."
    return Places(settings.reads_max, settings.reads_per_caller_max, noun="reads", advice=advice)


def follow_places(settings: Settings) -> Places:
    """Returns the places for followers."""
    advice = "Read with listRows, or try again later."
    share_max = settings.followers_per_caller_max
    return Places(settings.followers_max, share_max, noun="readers that follow", advice=advice)


def long_insert_places(settings: Settings) -> Places:
    """Returns the places for long inserts."""
    advice = "Nothing was inserted; insert the rows in requests of their own, or try again later."
    share_max = settings.long_inserts_per_caller_max
    return Places(settings.long_inserts_max, share_max, noun="long inserts", advice=advice)


def insert_rate_limits(settings: Settings) -> InsertLimits | None:
    """Returns the rate limits of inserts, or None when there are none."""
    return insert_limits(
        [
            ("token", RateUnit.REQUESTS, settings.token_requests_per_second_max),
            ("token", RateUnit.CONTENT_BYTES, settings.token_bytes_per_second_max),
            ("upload", RateUnit.REQUESTS, settings.upload_requests_per_second_max),
            ("upload", RateUnit.CONTENT_BYTES, settings.upload_bytes_per_second_max),
        ],
        settings.rate_burst_seconds,
    )


def ask_limits(settings: Settings) -> RequestLimits:
    """Returns the limits of each caller on the routes beside inserts."""
    return request_limits(
        token=(settings.token_asks_per_second_max, settings.token_read_bytes_per_second_max),
        address=(settings.address_asks_per_second_max, settings.address_read_bytes_per_second_max),
        burst_seconds=settings.rate_burst_seconds,
    )


def workers_max(settings: Settings) -> int:
    """Returns how many workers there can be at a time."""
    # A query takes two workers, one after the other, and a filter one.
    return settings.loads_max + settings.exports_max + 2 * settings.queries_max
