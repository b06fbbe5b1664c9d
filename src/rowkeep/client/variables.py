"""The variables of an upload or a table, as a client that has only text must know them."""

import threading
import time
from urllib.parse import quote

import msgspec

from rowkeep.client.connection import Connection, NoAnswer
from rowkeep.client.errors import RequestRefused, ServerUnreachable
from rowkeep.client.retrying import REPEATED, RetryPolicy

PAGE_SIZE = 10_000


class _Variable(msgspec.Struct):
    name: str
    type: str


class _Page(msgspec.Struct):
    results: list[_Variable]
    nextPageToken: str | None = None  # noqa: N815  # as on the wire


def variable_types(
    connection: Connection, path: str, policy: RetryPolicy, is_stopping: threading.Event
) -> dict[str, str]:
    """The type of each variable of the upload or table at a path. Raises an InsertError."""
    types: dict[str, str] = {}
    token: str | None = ""
    while token is not None:
        query = f"?maxResults={PAGE_SIZE}" + (f"&pageToken={quote(token)}" if token else "")
        page = msgspec.json.decode(
            _read(connection, f"{path}/variables{query}", policy, is_stopping), type=_Page
        )
        types.update({variable.name: variable.type for variable in page.results})
        token = page.nextPageToken
    return types


def _read(connection: Connection, path: str, policy: RetryPolicy, is_stopping: threading.Event) -> bytes:
    began_at = time.monotonic()
    while True:
        try:
            answer = connection.ask("GET", path)
        except NoAnswer as error:
            problem = str(error)
        else:
            if answer.status == 200:
                return answer.body
            problem = f"{answer.status} {answer.body[:500].decode('utf-8', 'replace')}"
            if answer.status not in REPEATED:
                raise RequestRefused(answer.status, "", problem)
        pause = policy.wait_seconds_max / 4
        if time.monotonic() + pause - began_at > policy.seconds_max or is_stopping.wait(pause):
            raise ServerUnreachable(f"the server did not tell its variables (the last attempt: {problem})")
