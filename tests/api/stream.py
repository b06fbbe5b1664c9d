"""A stream on a running server, as the API tests use it: raw HTTP, nothing of rowkeep imported."""

import itertools
from typing import Any

import httpx

from tests import plain_http

ALL_TYPES = [
    {"name": "site", "type": "string"},
    {"name": "count", "type": "integer"},
    {"name": "temperature", "type": "float"},
    {"name": "valid", "type": "boolean"},
    {"name": "day", "type": "date"},
    {"name": "measured_at", "type": "dateTime"},
    {"name": "local_time", "type": "time"},
    {"name": "position", "type": "geography"},
]

_numbers = itertools.count(1)


class Stream:
    """One upload of type stream in a dataset of its own."""

    def __init__(self, url: str, token: str, schema: list[dict[str, str]] | None, owner: str) -> None:
        self.client = plain_http.client(
            base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=60
        )
        name = f"dataset {next(_numbers)}"
        dataset = self.post(f"/users/{owner}/datasets", {"name": name, "publicAccessLevel": "none"})
        table = self.post(f"{dataset['uri']}/tables", {"name": "measurements"})
        upload = self.post(f"{table['uri']}/uploads", {"name": "s", "type": "stream", "schema": schema})
        self.dataset_uri: str = dataset["uri"]
        self.table_uri: str = table["uri"]
        self.upload_uri: str = upload["uri"]

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Creates something that must be created."""
        response = self.client.post(path, json=body)
        assert response.status_code == 201, response.text
        created: dict[str, Any] = response.json()
        return created

    def insert(self, body: bytes | dict[str, Any], **headers: str) -> httpx.Response:
        """One insertRows request, whatever becomes of it."""
        path = f"{self.upload_uri}/rows"
        if isinstance(body, dict):
            return self.client.post(path, json=body, headers=headers)
        return self.client.post(path, content=body, headers={"Content-Type": "application/json", **headers})

    def row_count(self) -> int:
        """What the upload says it holds."""
        count: int = self.client.get(self.upload_uri).json()["numRows"]
        return count

    def rows(self) -> list[dict[str, Any]]:
        """The rows of the table, as listRows gives them."""
        response = self.client.get(f"{self.table_uri}/rows")
        assert response.status_code == 200, response.text
        return [httpx.Response(200, content=line).json() for line in response.content.splitlines()]

    def close(self) -> None:
        """Closes the connection."""
        self.client.close()
