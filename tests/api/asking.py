"""An option of insertRows, in each place where a request may say it."""

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.api.stream import Stream

LINES = {"Content-Type": "application/x-ndjson"}
Ask = Callable[..., httpx.Response]


class Asking:
    """Inserts rows with one option set."""

    def __init__(self, option: str) -> None:
        self._option = option
        self.each_way = pytest.mark.parametrize("ask", [self.in_body, self.in_query, self.with_lines])

    def in_body(self, stream: Stream, rows: list[Any], **headers: str) -> httpx.Response:
        """The option in the JSON body."""
        return stream.insert({"rows": rows, self._option: True}, **headers)

    def in_query(self, stream: Stream, rows: list[Any], **headers: str) -> httpx.Response:
        """The option in the query of a JSON body."""
        return stream.client.post(self._url(stream), json={"rows": rows}, headers=headers)

    def with_lines(self, stream: Stream, rows: list[Any], **headers: str) -> httpx.Response:
        """The option in the query of lines."""
        body = "\n".join(json.dumps(row) for row in rows)
        return stream.client.post(self._url(stream), content=body, headers={**LINES, **headers})

    def _url(self, stream: Stream) -> str:
        return f"{stream.upload_uri}/rows?{self._option}=true"
