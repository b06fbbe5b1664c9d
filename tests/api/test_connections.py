"""Many connections at a time, with the few files that most systems allow who does not ask for more."""

import resource
import socket
from pathlib import Path
from urllib.parse import urlsplit

from tests.api.stream import Stream
from tests.server_process import ServerProcess

FILES = 256
CONNECTIONS = 400


def test_more_connections_than_files(tmp_path: Path) -> None:
    """The server takes all the files that it may have."""
    server = ServerProcess(tmp_path / "data")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (FILES, hard))
    try:
        server.start()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    parts = urlsplit(server.url)
    stream = Stream(server.url, server.token, None, server.user)
    connections = [socket.create_connection((parts.hostname, parts.port)) for _ in range(CONNECTIONS)]
    try:
        for connection in connections:
            connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        for connection in connections:
            connection.settimeout(30)
            assert connection.recv(64).startswith(b"HTTP/1.1 200")
        assert stream.insert({"rows": [{"count": 1}]}).status_code == 201
    finally:
        for connection in connections:
            connection.close()
        stream.close()
        server.close()
