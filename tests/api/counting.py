"""A database that remembers which statements were run, and the application over it within this process."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import httpx

from rowkeep.compose.application import application_over
from rowkeep.config import Settings
from rowkeep.services.accounts import create_organization, create_token, create_user
from rowkeep.storage.base import Connection, Database, Group, Record
from rowkeep.storage.doors import edit_catalog
from rowkeep.storage.local_files import DataDirectory
from rowkeep.storage.sqlite import SqliteDatabase
from tests import plain_http

# What runs beside the requests, now and then.
OF_MAINTENANCE = frozenset(
    {
        "journal_bytes",
        "uploads_to_seal",
        "released_uploads_to_seal",
        "uploads_with_sealed_entries",
        "uploads_to_compact",
    }
)


class CountingConnection:
    """A connection that notes the name of each statement."""

    def __init__(self, connection: Connection, names: list[str]) -> None:
        self._connection = connection
        self._names = names

    def records(self, statement: str, /, **parameters: object) -> list[Record]:
        """Notes a statement and runs it."""
        self._names.append(statement)
        return self._connection.records(statement, **parameters)

    def record(self, statement: str, /, **parameters: object) -> Record | None:
        """The same for one row."""
        self._names.append(statement)
        return self._connection.record(statement, **parameters)

    def add_group(self, group: Group) -> None:
        """Notes a group and adds it."""
        self._names.append("add_group")
        self._connection.add_group(group)


class CountingDatabase:
    """A database whose statements are noted in `names`, in their order."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.names: list[str] = []

    @property
    def commit_started_at(self) -> float:
        """That of the database."""
        return self._database.commit_started_at

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A snapshot whose statements are noted."""
        with self._database.reading() as connection:
            yield CountingConnection(connection, self.names)

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction whose statements are noted."""
        with self._database.writing() as connection:
            yield CountingConnection(connection, self.names)

    def commit_group(self, group: Group) -> None:
        """Notes a group and commits it."""
        self.names.append("add_group")
        self._database.commit_group(group)

    def close(self) -> None:
        """Closes the database."""
        self._database.close()


class CountingServer:
    """The application in this process, called as over HTTP by the user ada, who administers lab."""

    def __init__(self, database: CountingDatabase, client: httpx.AsyncClient) -> None:
        self.database = database
        self._client = client

    async def statements(self, method: str, path: str, body: object = None) -> list[str]:
        """The statements that a request took, which was answered with success."""
        self.database.names.clear()
        response = await self._client.request(method, path, json=body)
        assert response.is_success, (method, path, response.text)
        return [name for name in self.database.names if name not in OF_MAINTENANCE]

    async def asked(self, method: str, path: str, body: object = None, **headers: str) -> httpx.Response:
        """Returns what a request was answered; bytes are sent as they are, all else as JSON."""
        sent = {"content": body} if isinstance(body, bytes) else {"json": body}
        return await self._client.request(method, path, headers=headers, **sent)  # type: ignore[arg-type]

    async def done(self, method: str, path: str, body: object = None, **headers: str) -> httpx.Response:
        """What a request was answered, which was a success."""
        response = await self._client.request(method, path, json=body, headers=headers)
        assert response.is_success, (method, path, response.text)
        return response


@asynccontextmanager
async def counting_server(folder: Path) -> AsyncIterator[CountingServer]:
    """Opens the application over an empty database."""
    directory = DataDirectory(folder / "data")
    directory.sweep()
    database = CountingDatabase(SqliteDatabase(directory.database))
    edit_catalog(database, lambda editor: create_user(editor, "ada"))
    edit_catalog(database, lambda editor: create_organization(editor, "lab", "ada"))
    token = edit_catalog(database, lambda editor: create_token(editor, "ada", (), None))
    try:
        async with application_over(database, directory, Settings()) as application:
            transport = httpx.ASGITransport(application)
            headers = {"Authorization": f"Bearer {token}"}
            async with plain_http.async_client(
                transport=transport, base_url="http://rowkeep", headers=headers
            ) as client:
                yield CountingServer(database, client)
    finally:
        database.close()
