"""A producer that inserts with one long request, over a raw connection: nothing of rowkeep imported."""

import http.client
import json
import socket
from collections.abc import Iterable
from types import TracebackType
from typing import Any
from urllib.parse import urlencode, urlsplit

Json = dict[str, Any]


class LongProducer:
    """One request, whose body is sent in parts while its answer is read; a silence of 30 s is an error."""

    def __init__(
        self, url: str, token: str, upload_uri: str, headers: dict[str, str] | None = None, **query: str
    ) -> None:
        parts = urlsplit(url)
        self._connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)
        asked = urlencode({"acks": "true", **query})
        self._connection.putrequest("POST", f"{parts.path}{upload_uri}/rows?{asked}")
        sent = {
            "Authorization": f"Bearer {token}",
            "Content-Type": "application/x-ndjson",
            "Transfer-Encoding": "chunked",
            **(headers or {}),
        }
        for name, value in sent.items():
            self._connection.putheader(name, value)
        self._connection.endheaders()
        self.socket: socket.socket = self._connection.sock
        self.response = http.client.HTTPResponse(self.socket, method="POST")

    def __enter__(self) -> "LongProducer":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.response.close()
        self._connection.close()

    def opened(self) -> int:
        """How many rows are settled, from the first line of the answer."""
        self.response.begin()
        assert self.response.status == 200, self.response.read()
        line = self.line()
        assert line == {"kind": "insertRowsOpened", "sequence": line["sequence"]}
        sequence: int = line["sequence"]
        return sequence

    def refused(self) -> tuple[int, Json]:
        """The status and body of an answer that is not a long one."""
        self.response.begin()
        return self.response.status, json.loads(self.response.read())

    def send(self, text: bytes) -> None:
        """Sends a part of the body, which need not be whole lines."""
        self.socket.sendall(b"%x\r\n%b\r\n" % (len(text), text))

    def send_rows(self, rows: Iterable[Json]) -> None:
        """Sends rows, one a line."""
        self.send("".join(json.dumps(row) + "\n" for row in rows).encode())

    def end(self) -> None:
        """Ends the body."""
        self.socket.sendall(b"0\r\n\r\n")

    def line(self) -> Json:
        """The next line of the answer. Raises StopIteration behind the last."""
        line = self.response.readline()
        if not line:
            raise StopIteration
        found: Json = json.loads(line)
        return found

    def acks(self, sequence: int) -> list[Json]:
        """The acks up to a number of rows: one at least, in order."""
        found = [self.line()]
        while found[-1]["sequence"] < sequence:
            found.append(self.line())
        assert {ack["kind"] for ack in found} == {"insertRowsResponse"}
        assert found[-1]["sequence"] == sequence
        return found

    def ending(self) -> Json:
        """The line that ends the answer, with nothing behind."""
        line = self.line()
        assert line["kind"] == "insertRowsEnded", line
        assert self.response.read() == b""
        return line
