"""A dataset that is published in versions, as the API tests use it: raw HTTP, nothing of rowkeep imported."""

import itertools
import json
from typing import Any

import httpx
import pyarrow

from tests import plain_http
from tests.arrow_streams import table_of
from tests.server_process import ServerProcess

Rows = list[dict[str, Any]]
Json = dict[str, Any]

_numbers = itertools.count(1)


class Publication:
    """A dataset of a name of its own, and short ways to do things to it."""

    def __init__(self, server: ServerProcess, public_access_level: str = "none") -> None:
        self.client = plain_http.client(
            base_url=server.url,
            headers={"Authorization": f"Bearer {server.token}"},
            timeout=60,
        )
        self.token = server.token
        self.reference = f"{server.user}.publication_{next(_numbers)}"
        name = self.reference.partition(".")[2]
        body = {"name": name, "publicAccessLevel": public_access_level}
        self.created: Json = self.done("POST", f"/users/{server.user}/datasets", body)

    def ask(self, method: str, path: str, body: Any = None, token: str | None = None) -> httpx.Response:
        """A request, whatever becomes of it; `token` is another's, empty for none."""
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        if body is None:
            request = self.client.build_request(method, path, headers=headers)
        else:
            request = self.client.build_request(method, path, headers=headers, json=body)
        if token == "":
            del request.headers["Authorization"]
        return self.client.send(request)

    def done(self, method: str, path: str, body: Any = None) -> Any:
        """What a request answers that must succeed; None for the text OK."""
        response = self.ask(method, path, body)
        assert response.status_code in (200, 201), response.text
        return None if response.text == "OK" else response.json()

    def refused(self, status: int, method: str, path: str, body: Any = None, token: str | None = None) -> str:
        """Why a request was refused that must be refused with this status."""
        response = self.ask(method, path, body, token)
        assert response.status_code == status, response.text
        problem: Json = response.json()
        assert problem["status"] == status
        return str(problem["error_description"])

    def dataset(self, version: str = "") -> str:
        """The path of the dataset, at a version if one is given."""
        return f"/datasets/{self.reference}{':' if version else ''}{version}"

    def version(self, tag: str, action: str = "") -> str:
        """The path of a version, or of something that is done to it."""
        return f"{self.dataset()}/versions/{tag}{'/' if action else ''}{action}"

    def table(self, name: str, version: str = "next") -> str:
        """The path of a table at a version."""
        return f"/tables/{self.reference}{':' if version else ''}{version}.{name}"

    def add_table(self, name: str, **said: Any) -> Json:
        """A new table in the next version."""
        made: Json = self.done("POST", f"{self.dataset('next')}/tables", {"name": name, **said})
        return made

    def add_upload(
        self, table: str, name: str, rows: Rows, schema: list[Json] | None = None, **said: Any
    ) -> Json:
        """A new upload in the next version, with rows; `said` is sent with them."""
        path = f"{self.table(table)}/uploads"
        made: Json = self.done("POST", path, {"name": name, "type": "stream", "schema": schema})
        self.done("POST", f"{made['uri']}/rows", {"rows": rows, **said})
        return made

    def publish(self, table: str, name: str, rows: Rows, **said: Any) -> str:
        """Makes the next version unless there is one, adds an upload to it, releases it; its tag."""
        if self.done("GET", self.dataset())["nextVersion"] is None:
            self.done("POST", f"{self.dataset()}/versions")
        if self.ask("HEAD", self.table(table)).status_code == 404:
            self.add_table(table)
        self.add_upload(table, name, rows, **said)
        return str(self.release()["tag"])

    def release(self, **said: Any) -> Json:
        """Releases the next version."""
        released: Json = self.done("POST", self.version("next", "release"), said)
        return released

    def rows(self, table: str, version: str) -> Rows:
        """The rows of a table at a version, in order, without the variables that are null."""
        response = self.ask("GET", f"{self.table(table, version)}/rows")
        assert response.status_code == 200, response.text
        rows = [json.loads(line) for line in response.text.splitlines()]
        return [{name: value for name, value in row.items() if value is not None} for row in rows]

    def types(self, table: str, version: str) -> dict[str, str]:
        """The variables of a table at a version, in order."""
        results = self.done("GET", f"{self.table(table, version)}/variables")["results"]
        return {variable["name"]: variable["type"] for variable in results}

    def everything(self, version: str) -> Json:
        """All that a version answers, for comparison; Arrow as rows, since batches may be cut anew."""
        dataset = self.done("GET", self.dataset(version))
        tables = self.done("GET", f"{self.dataset(version)}/tables")["results"]
        return {
            "dataset": {name: dataset[name] for name in ("name", "tableCount", "numBytes", "version")},
            "tables": [self.done("GET", table["uri"]) for table in tables],
            "rows": [self.ask("GET", f"{table['uri']}/rows").content for table in tables],
            "arrow": [self.arrow(table["uri"]) for table in tables],
            "variables": [self.done("GET", f"{table['uri']}/variables") for table in tables],
            "uploads": [self.done("GET", f"{table['uri']}/uploads") for table in tables],
        }

    def arrow(self, table_uri: str) -> pyarrow.Table:
        """A table's rows as Arrow."""
        return table_of(self.ask("GET", f"{table_uri}/rows?format=arrow").content)

    def close(self) -> None:
        """Closes the connection."""
        self.client.close()
