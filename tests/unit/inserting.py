"""insertRows over real storage, without HTTP: its service, built as the server builds it."""

from rowkeep.model.quarantine import QuarantineBounds
from rowkeep.services.insert.insert import InsertService
from rowkeep.services.insert.routing import BodyRouting
from rowkeep.services.insert.turns import Turns
from rowkeep.storage.catalog.doors import Doors
from rowkeep.storage.engines import BodyChecker, LargeBodyDecoder
from rowkeep.workers.checking_process import CheckingProcess

INFLATED_BYTES_MAX = 2**20


def insert_service(
    doors: Doors, decoder: LargeBodyDecoder, checker: BodyChecker | None = None
) -> InsertService:
    """Returns the service; without a checker it has a checking process that starts when it is needed."""
    turns = Turns(wait_seconds_max=20)
    bounds = QuarantineBounds(100, 2**20)
    routing = BodyRouting(
        doors, checker or CheckingProcess(), decoder, turns, bounds, inflated_bytes_max=INFLATED_BYTES_MAX
    )
    return InsertService(doors, routing, turns)
