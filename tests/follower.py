"""A reader that follows, over raw HTTP: nothing of rowkeep imported."""

import json
from collections.abc import Iterator
from types import TracebackType
from typing import Any

import httpx
import msgspec

from tests import plain_http


class Event(msgspec.Struct, frozen=True):
    """A server-sent event; its name is empty for a row."""

    name: str
    position: str
    data: dict[str, Any]


class Follower:
    """One following request, read as it comes; a silence of half a minute is an error."""

    def __init__(self, url: str, token: str | None, path: str, **query: str) -> None:
        position = query.pop("last_event_id", None)
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        headers |= {"Last-Event-ID": position} if position else {}
        self._client = plain_http.client(timeout=30)
        asked = {"follow": "true", "format": "sse", **query}
        request = self._client.build_request("GET", f"{url}{path}/rows", params=asked, headers=headers)
        self.response = self._client.send(request, stream=True)
        if self.response.status_code != 200:
            self.response.read()
        self._lines = _lines_of(self.response)

    def __enter__(self) -> "Follower":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.response.close()
        self._client.close()

    def line(self) -> Any:
        """The next line of JSON."""
        return json.loads(next(self._lines))

    def lines(self) -> list[Any]:
        """The lines that are left."""
        return [json.loads(line) for line in self._lines]

    def event(self) -> Event:
        """The next event. Raises StopIteration behind the last."""
        fields: dict[str, str] = {}
        for line in self._lines:
            name, _, value = line.partition(": ")
            if line:
                fields[name] = value
            elif "data" in fields:
                return Event(fields.get("event", ""), fields["id"], json.loads(fields["data"]))
        raise StopIteration

    def opened(self) -> str:
        """The position that comes first."""
        event = self.event()
        assert event.name == "position"
        assert event.data == {"position": event.position}
        return event.position

    def rows(self, count: int) -> list[dict[str, Any]]:
        """The next rows; nothing else may come before them."""
        events = [self.event() for _ in range(count)]
        assert [event.name for event in events] == [""] * count
        return [event.data for event in events]

    def ending(self) -> Event:
        """The event that ends it, with nothing behind."""
        event = self.event()
        assert (event.name, event.data["position"]) == ("end", event.position)
        assert next(self._lines, None) is None
        return event

    def events(self) -> Iterator[Event]:
        """All events, until it ends or breaks."""
        while True:
            try:
                yield self.event()
            except (StopIteration, httpx.TransportError):
                return


def _lines_of(response: httpx.Response) -> Iterator[str]:
    """Lines end in line feeds alone."""
    rest = b""
    for part in response.iter_bytes():
        *lines, rest = (rest + part).split(b"\n")
        yield from (line.decode() for line in lines)
