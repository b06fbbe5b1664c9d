"""Fetching from other servers: from a real one on this machine, which is let in here as if it were public."""

import asyncio
import ipaddress
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from rowkeep.model.errors import RowkeepError
from rowkeep.model.transfers import checked_url, is_public, permitted_hosts
from rowkeep.storage.url_content import UrlContents

CONTENT = b"site,n\nBern,1\n" * 50_000
LOOPBACK = ipaddress.ip_address("127.0.0.1")


class Answers(BaseHTTPRequestHandler):
    """What the other server answers, by path."""

    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002  # its name there
        """Says nothing."""

    def do_GET(self) -> None:  # its name there
        """Answers."""
        step, _, rest = self.path.lstrip("/").partition("/")
        getattr(self, f"answer_{step}", self.answer_missing)(rest)

    def answer_file(self, _: str) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        self.wfile.write(CONTENT)

    def answer_chunked(self, _: str) -> None:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for part in (b"one,", b"two\n"):
            self.wfile.write(b"%x\r\n%b\r\n" % (len(part), part))
        self.wfile.write(b"0\r\n\r\n")

    def answer_short(self, _: str) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "100")
        self.end_headers()
        self.wfile.write(b"half")
        self.close_connection = True

    def answer_headers(self, _: str) -> None:
        self.send_response(200)
        text = "\n".join(f"{name}: {value}" for name, value in self.headers.items()).encode()
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def answer_drip(self, _: str) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "1000000")
        self.end_headers()
        stopped: threading.Event = self.server.stopped  # type: ignore[attr-defined]  # set by the fixture
        while not stopped.wait(0.02):
            try:
                self.wfile.write(b"x")
            except OSError:
                return

    def answer_to(self, target: str) -> None:
        self.send_response(302)
        self.send_header("Location", target if "//" in target else f"/{target}")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def answer_missing(self, _: str) -> None:
        self.send_error(404)


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """The port of another server."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as other:
        other.stopped = threading.Event()  # type: ignore[attr-defined]  # for answer_drip
        thread = threading.Thread(target=other.serve_forever)
        thread.start()
        yield other.server_address[1]
        other.stopped.set()  # type: ignore[attr-defined]  # for answer_drip
        other.shutdown()
        thread.join()


def fetched(port: int, path: str, **limits: Any) -> bytes:
    """What is fetched from the other server, known as data.test, whose address counts as public."""
    limits = {"seconds_max": 20, "look_up": lambda *_: [LOOPBACK], "permits": lambda _: True, **limits}
    contents = UrlContents(permitted_hosts(f"data.test:{port}"), **limits)

    async def collect() -> bytes:
        return b"".join([part async for part in contents.parts(f"http://data.test:{port}/{path}")])

    return asyncio.run(collect())


def test_content_comes_whole(port: int) -> None:
    """With a length, and in chunks."""
    assert fetched(port, "file") == CONTENT
    assert fetched(port, "chunked") == b"one,two\n"


def test_the_request_says_little(port: int) -> None:
    """The name of the host, and nothing of who asks."""
    told = fetched(port, "headers").decode()
    assert f"Host: data.test:{port}" in told
    assert {line.partition(":")[0] for line in told.splitlines()} == {
        *("Host", "User-Agent", "Accept", "Accept-Encoding")
    }


def test_redirects_within_the_host(port: int) -> None:
    """They are followed, some of them."""
    assert fetched(port, "to/to/file") == CONTENT


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("to/http://169.254.169.254/latest", "redirects to where"),
        ("to/http://elsewhere.test/file", "redirects to where"),
        ("to/file:///etc/passwd", "redirects to where"),
        ("to/to/to/to/to/to/to/file", "more than 5 times"),
        ("missing", "status 404"),
        ("short", "4"),
    ],
)
def test_what_is_not_fetched(port: int, path: str, reason: str) -> None:
    """Redirects to others, errors, and answers that end too early."""
    with pytest.raises(RowkeepError, match=reason):
        fetched(port, path)


def test_a_server_that_drips(port: int) -> None:
    """The whole is bounded, however slowly the parts come."""
    with pytest.raises(RowkeepError, match="longer"):
        fetched(port, "drip", seconds_max=0.3)


def test_a_name_that_leads_inside(port: int) -> None:
    """One private address among those of a host is enough to ask none of them."""
    public = ipaddress.ip_address("93.184.216.34")
    with pytest.raises(RowkeepError, match="not public"):
        fetched(port, "file", look_up=lambda *_: [public, LOOPBACK], permits=is_public)


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0"),
        *("224.0.0.1", "255.255.255.255", "::1", "::", "fe80::1", "fc00::1", "::ffff:10.0.0.1", "ff02::1"),
        *("2002:7f00:1::", "64:ff9b::7f00:1", "2001:0:4136:e378::1", "::ffff:93.184.216.34", "192.0.2.1"),
    ],
)
def test_addresses_that_are_not_public(address: str) -> None:
    """Private, local, reserved, multicast, and those that stand for another address."""
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", ["93.184.216.34", "8.8.8.8", "2606:2800:220:1::1"])
def test_public_addresses(address: str) -> None:
    """Others may be asked."""
    assert is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "url",
    [
        *("ftp://data.test/", "//data.test/", "http://", "http://data.test:99999/", "http://data.test/\n"),
        *("http://user:pass@data.test/", "http://data.test@evil.test/", "http://data.test.evil.test/"),
        *(
            "http://evil.test#data.test",
            "http://evil.test\\@data.test/",
            "http://DATA.test:81/",
            "http://ä.test/",
        ),
    ],
)
def test_addresses_that_name_no_permitted_host(url: str) -> None:
    """However they are written."""
    with pytest.raises(RowkeepError):
        checked_url(url, permitted_hosts("data.test"))


def test_hosts_as_operators_write_them() -> None:
    """With and without a port, in any case."""
    hosts = permitted_hosts(" Data.Test, other.test:8443 ")
    assert checked_url("https://DATA.TEST./a%20b.csv?x=1", hosts).file_name == "a b.csv"
    assert checked_url("https://other.test:8443/", hosts).port == 8443
    for text in ("https://data.test", "data.test:x", "a/b"):
        with pytest.raises(ValueError, match="transfer_hosts"):
            permitted_hosts(text)
