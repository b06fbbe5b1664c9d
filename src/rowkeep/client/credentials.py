"""The servers that a person has signed in to, with their tokens, in a file that only that person can read.

    {"servers": [{"url": "http://127.0.0.1:8080/api/v1", "token": "…"}]}

The server that was signed in to last comes first; commands use it where nothing else names one.
"""

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

import msgspec

from rowkeep.client.connection import whole_url
from rowkeep.client.folders import sync_folder


class SignedIn(msgspec.Struct, frozen=True):
    """A server and the person's token for it."""

    url: str
    token: str


class _File(msgspec.Struct, frozen=True):
    servers: tuple[SignedIn, ...] = ()


class Credentials:
    """The tokens in one file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def servers(self) -> tuple[SignedIn, ...]:
        """Returns the servers, the one signed in to last first. Raises ValueError for a garbled file."""
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            return ()
        try:
            return msgspec.json.decode(content, type=_File).servers
        except msgspec.DecodeError as error:
            raise ValueError(
                f"{self.path} cannot be read as stored tokens ({error}); delete it and sign in again."
            ) from error

    def token(self, url: str) -> str | None:
        """Returns the token for a server, or None when the person has not signed in there."""
        return next((one.token for one in self.servers() if one.url == whole_url(url)), None)

    def add(self, url: str, token: str) -> None:
        """Stores a token. Its server becomes the default of commands."""
        new = SignedIn(whole_url(url), token)
        self._write((new, *(one for one in self.servers() if one.url != new.url)))

    def remove(self, url: str) -> bool:
        """Forgets the token for a server. Returns whether there was one."""
        servers = self.servers()
        kept = tuple(one for one in servers if one.url != whole_url(url))
        if len(kept) == len(servers):
            return False
        self._write(kept)
        return True

    def _write(self, servers: tuple[SignedIn, ...]) -> None:
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # mkstemp makes a file that only its owner reads, whatever the umask.
        descriptor, name = tempfile.mkstemp(dir=self.path.parent)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(msgspec.json.format(msgspec.json.encode(_File(servers))) + b"\n")
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(self.path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
        sync_folder(self.path.parent)


def credentials_path(environment: Mapping[str, str]) -> Path:
    """Returns where tokens are stored: $ROWKEEP_CREDENTIALS, else in the person's settings folder."""
    given = environment.get("ROWKEEP_CREDENTIALS")
    if given:
        return Path(given)
    settings = environment.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(settings) / "rowkeep" / "credentials.json"
