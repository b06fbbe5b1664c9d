"""Queries over HTTP, for tests."""

import json
from typing import Any

import httpx


class QueryClient:
    """Sends queries to a server and reads their rows."""

    def __init__(self, client: httpx.Client) -> None:
        self.client = client

    def send(self, sql: str, **more: Any) -> dict[str, Any]:
        """The query as the server shows it."""
        response = self.client.post("/queries", json={"query": sql, **more})
        assert response.status_code == 200, response.text
        shown: dict[str, Any] = response.json()
        return shown

    def rows(self, sql: str, **more: Any) -> list[list[Any]]:
        """The rows of a query that must succeed."""
        query = self.send(sql, **more)
        assert query["status"] == "completed", query["errorMessage"]
        text = self.client.get(f"{query['uri']}/rows").text
        return [list(json.loads(line).values()) for line in text.splitlines()]

    def refusal(self, sql: str, **more: Any) -> str:
        """Why a query that must fail did."""
        query = self.send(sql, **more)
        assert query["status"] == "failed", query
        message: str = query["errorMessage"]
        return message
