"""The messages between the server, the process that forks workers, and the workers.

Server and template talk in datagrams, each one of these as JSON. A worker reads its job as a length of four
bytes and the JSON of a WorkerJob, and says lines of JSON.
"""

import msgspec

from rowkeep.model.errors import ErrorCode
from rowkeep.model.worker_jobs import WorkerFailure

LENGTH_BYTES = 4


class Fork(msgspec.Struct, frozen=True, tag=True):
    """To the template: fork worker `number`, which calls `preparation` before it reads its job.

    The worker's channel and the pipe for its errors are sent along.
    """

    number: int
    preparation: str | None = None


class Kill(msgspec.Struct, frozen=True, tag=True):
    """To the template: kill worker `number`."""

    number: int


class Ready(msgspec.Struct, frozen=True, tag=True):
    """From the template, as its first message: it can fork."""

    missing_walls: tuple[str, ...]


class Started(msgspec.Struct, frozen=True, tag=True):
    """From the template: the process id of worker `number`."""

    number: int
    process_id: int


class Ended(msgspec.Struct, frozen=True, tag=True):
    """From the template: worker `number` has ended with this status, as of `os.wait`."""

    number: int
    status: int


class Progress(msgspec.Struct, frozen=True, tag=True):
    """From a worker: the fraction of the job that is done, from 0 to 1."""

    fraction: float


class Result(msgspec.Struct, frozen=True, tag=True):
    """From a worker, as its last message: the result of its function."""

    value: msgspec.Raw


class Refusal(msgspec.Struct, frozen=True, tag=True):
    """From a worker, as its last message: an error for the caller. `detail` is for the log."""

    code: ErrorCode
    message: str
    detail: str | None = None


class Failure(msgspec.Struct, frozen=True, tag=True):
    """From a worker, as its last message: an error of the worker itself."""

    failure: WorkerFailure
    detail: str


ToTemplate = Fork | Kill
FromTemplate = Ready | Started | Ended
FromWorker = Progress | Result | Refusal | Failure
