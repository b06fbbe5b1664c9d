"""Compressed bodies over HTTP: taken as if they were plain, or refused, and never at the server's cost."""

import gzip
import json
import os
import shutil
import subprocess
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
import zstandard

from rowkeep.trials.processes import children_of, peak_memory_mib
from tests.api.pings import held_up_share, pinged
from tests.api.stream import ALL_TYPES, Stream
from tests.api.test_bad_input import raw_request
from tests.server_process import ServerProcess

MEBIBYTE = 1024 * 1024


def zstd(data: bytes) -> bytes:
    return zstandard.ZstdCompressor().compress(data)


Compress = Callable[[bytes], bytes]
CODINGS: dict[str, Compress] = {"gzip": gzip.compress, "zstd": zstd, "deflate": zlib.compress}
each_coding = pytest.mark.parametrize(("coding", "compress"), CODINGS.items(), ids=CODINGS)


@pytest.fixture(scope="module")
def small_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server that takes bodies of 3 MiB, and of 1 MiB on the wire when they are compressed."""
    started = ServerProcess(
        tmp_path_factory.mktemp("small") / "data",
        body_bytes_max=str(3 * MEBIBYTE),
        compressed_body_bytes_max=str(MEBIBYTE),
    )
    started.start()
    yield started
    started.close()


@pytest.fixture
def small_stream(small_server: ServerProcess) -> Iterator[Stream]:
    """A stream on it."""
    made = Stream(small_server.url, small_server.token, ALL_TYPES, small_server.user)
    yield made
    made.close()


def body_of(row_count: int) -> bytes:
    """A body of rows that do not repeat each other."""
    rows = [{"site": os.urandom(12).hex(), "count": number} for number in range(row_count)]
    return json.dumps({"rows": rows}).encode()


def padded(size: int) -> bytes:
    """A body of one row that has exactly this size."""
    body = b'{"rows":[{"site":"%s"}]}'
    return body % (b"x" * (size - len(body) + 2))


@each_coding
def test_small_and_large(stream: Stream, coding: str, compress: Compress) -> None:
    """No rows, one, a thousand and what is decoded elsewhere: as many rows as were sent, read back whole."""
    sizes = (0, 1, 1_000, 60_000)
    bodies = [body_of(size) for size in sizes]
    for size, body in zip(sizes, bodies, strict=True):
        response = stream.insert(compress(body), **{"Content-Encoding": coding})
        assert (response.status_code, response.json().get("rowsAdded")) == (201, size), response.text
    assert len(bodies[-1]) > MEBIBYTE
    sent = [row for body in bodies for row in json.loads(body)["rows"]]
    assert [{"site": row["site"], "count": row["count"]} for row in stream.rows()] == sent


@pytest.mark.parametrize("tool", ["gzip", "zstd"])
@pytest.mark.parametrize("row_count", [3, 60_000])
def test_real_clients(
    server: ServerProcess, stream: Stream, tmp_path: Path, tool: str, row_count: int
) -> None:
    """curl sends what the command-line tools make, by length and in chunks."""
    if shutil.which("curl") is None or shutil.which(tool) is None:
        pytest.skip(f"needs curl and {tool}")
    plain = tmp_path / "rows.json"
    plain.write_bytes(body_of(row_count))
    packed = tmp_path / "rows.packed"
    packed.write_bytes(subprocess.run([tool, "-c", str(plain)], capture_output=True, check=True).stdout)
    for chunks in ([], ["-H", "Transfer-Encoding: chunked"]):
        headers = ["Content-Type: application/json", f"Content-Encoding: {tool}"]
        options = [part for header in headers for part in ("-H", header)]
        authorization = ["-H", f"Authorization: Bearer {server.token}"]
        url = f"{server.url}{stream.upload_uri}/rows"
        command = ["curl", "-sS", url, *authorization, *options, *chunks, "--data-binary", f"@{packed}"]
        answer = subprocess.run(command, capture_output=True, check=True, timeout=60).stdout
        assert json.loads(answer)["rowsAdded"] == row_count
    assert stream.row_count() == 2 * row_count


@pytest.mark.parametrize("row_count", [3, 60_000])
def test_concatenated_members(stream: Stream, row_count: int) -> None:
    """Gzip members and zstd frames one after the other are one body, wherever it was cut: equal rows."""
    body = body_of(row_count)
    plain = stream.insert(body).json()
    for coding, compress in (("gzip", gzip.compress), ("zstd", zstd)):
        for cut in (0, 1, len(body) // 3, len(body) - 1, len(body)):
            parts = [compress(body[:cut]), compress(b""), compress(body[cut:])]
            response = stream.insert(b"".join(parts), **{"Content-Encoding": coding})
            assert response.json().get("rowsAdded") == row_count, response.text
            assert response.json()["sha256"] == plain["sha256"]
        parts[-1] = parts[-1][:-1]
        refused = stream.insert(b"".join(parts), **{"Content-Encoding": coding})
        assert (refused.status_code, refused.json()["error"]) == (400, "invalid_request_error")
    assert stream.row_count() == 11 * row_count


@each_coding
@pytest.mark.parametrize("row_count", [3, 60_000])
def test_a_body_that_is_not_whole(stream: Stream, coding: str, compress: Compress, row_count: int) -> None:
    """Cut off, followed by something, or not compressed at all: 400 that says so, and nothing is written."""
    body = compress(body_of(row_count))
    for sent, words in (
        (b"", "ends before"),
        (body[:-1], "ends before"),
        (body[: len(body) // 2], "ends before"),
        (body + b"x" * 100, "something follows its end"),
        (body_of(row_count), "not whole"),
    ):
        response = stream.insert(sent, **{"Content-Encoding": coding})
        error = response.json()
        assert (response.status_code, error["error"]) == (400, "invalid_request_error")
        assert words in error["error_description"]
        assert coding in error["error_description"]
    assert stream.row_count() == 0


@each_coding
def test_errors_are_those_of_the_plain_body(stream: Stream, coding: str, compress: Compress) -> None:
    """What is wrong inside is told as for a plain body: not JSON, a bad row; small or large."""
    for count in (2, 60_000):
        rows = [{"site": "x" * 20, "count": number} for number in range(count)]
        bodies = [b"", b"hello", json.dumps({"rows": [*rows, {"count": "x"}]}).encode()]
        for body in bodies:
            plain = stream.insert(body).json()
            assert stream.insert(compress(body), **{"Content-Encoding": coding}).json() == plain
    assert stream.row_count() == 0


@pytest.mark.parametrize("header", ["br", "compress", "gzip, gzip", "zstd, gzip", "gzip;q=1", "x" * 1000])
def test_what_cannot_be_inflated(stream: Stream, header: str) -> None:
    """415 with `Accept-Encoding`, by which a client finds out what it may send."""
    response = stream.insert(b"whatever", **{"Content-Encoding": header})
    assert (response.status_code, response.json()["error"]) == (415, "unsupported_media_type")
    assert response.headers["accept-encoding"] == "gzip, zstd, deflate"
    assert "gzip" in response.json()["error_description"]
    response = stream.insert(b"a,b", **{"Content-Type": "text/csv"})
    assert (response.status_code, response.headers.get("accept-encoding")) == (415, None)


def test_spellings_of_the_header(server: ServerProcess, stream: Stream) -> None:
    """Any case, `identity` and empty parts beside it, `x-gzip`; given twice it means two codings."""
    body = gzip.compress(b'{"rows":[{"site":"a"}]}')
    for header in ("GZIP", "gZip", "identity, gzip", ",gzip,", "x-gzip"):
        assert stream.insert(body, **{"Content-Encoding": header}).status_code == 201, header
    for header in ("identity", "", "Identity"):
        assert stream.insert(b'{"rows":[]}', **{"Content-Encoding": header}).status_code == 201, header
    lines = b"Content-Type: application/json\r\nContent-Length: %d\r\n" % len(body)
    status, error = raw_request(server, stream, lines + b"Content-Encoding: gzip\r\n" * 2, body)
    assert status == 415
    assert error is not None
    assert "several times (gzip, gzip)" in error["error_description"]


def test_a_repeat_may_be_compressed_differently(stream: Stream) -> None:
    """A key belongs to the rows, not to how they are packed; other rows are refused as ever."""
    for number, count in enumerate((2, 60_000)):
        body = body_of(count)
        packings: list[tuple[str, bytes]] = [("identity", body)]
        packings += [(coding, compress(body)) for coding, compress in CODINGS.items()]
        packings += [("gzip", gzip.compress(body, compresslevel=1))]
        answers = [
            stream.insert(
                packed, **{"Content-Encoding": coding, "Idempotency-Key": f"key {number}".replace(" ", "-")}
            )
            for coding, packed in packings
        ]
        assert [answer.status_code for answer in answers] == [201] * 5
        assert [answer.headers.get("idempotency-replayed") for answer in answers] == [None, *["true"] * 4]
        other = {"Content-Encoding": "gzip", "Idempotency-Key": f"key-{number}"}
        assert stream.insert(gzip.compress(body_of(1)), **other).status_code == 422
    assert stream.row_count() == 60_002


@each_coding
def test_other_bodies_may_be_compressed(stream: Stream, coding: str, compress: Compress) -> None:
    """Every JSON body of the API; its bound of 4 MiB holds for what it inflates to."""
    headers = {"Content-Type": "application/json", "Content-Encoding": coding}

    def change(body: bytes, **more: str) -> httpx.Response:
        return stream.client.patch(stream.table_uri, content=body, headers={**headers, **more})

    response = change(compress(b'{"description":"packed"}'))
    assert (response.status_code, response.json().get("description")) == (200, "packed")
    bomb = change(compress(b'{"description":"%s"}' % (b" " * (5 * MEBIBYTE))))
    assert (bomb.status_code, bomb.json()["error"]) == (413, "payload_too_large")
    assert change(b"plain").status_code == 400
    assert change(b"{}", **{"Content-Encoding": "br"}).headers["accept-encoding"]


@each_coding
def test_both_sizes_are_bounded(
    small_server: ServerProcess, small_stream: Stream, coding: str, compress: Compress
) -> None:
    """The bounds are exact: what is sent, before it is read, and what it inflates to."""
    headers = {"Content-Encoding": coding}
    limit = 3 * MEBIBYTE
    assert small_stream.insert(compress(padded(limit)), **headers).json().get("rowsAdded") == 1
    refused = small_stream.insert(compress(padded(limit + 1)), **headers)
    assert (refused.status_code, refused.json()["error"]) == (413, "payload_too_large")
    assert f"inflates to more than {limit} bytes" in refused.json()["error_description"]
    at_the_bound = compressed_to(MEBIBYTE, compress)
    assert small_stream.insert(at_the_bound, **headers).json().get("rowsAdded") == 1
    refused = small_stream.insert(at_the_bound + b"x", **headers)
    assert (refused.status_code, refused.json()["error"]) == (413, "payload_too_large")
    lines = b"Content-Type: application/json\r\nContent-Encoding: %s\r\n" % coding.encode()
    length = b"Content-Length: %d\r\n" % (MEBIBYTE + 1)
    status, error = raw_request(small_server, small_stream, lines + length, b"")
    assert status == 413
    assert error is not None
    assert f"compressed body is larger than {MEBIBYTE} bytes" in error["error_description"]
    assert small_stream.row_count() == 2


def compressed_to(size: int, compress: Compress) -> bytes:
    """A body of one row whose compressed size is exactly this."""
    text = os.urandom(size).hex().encode()
    body = b'{"rows":[{"site":"%s"}]}'
    length = 2 * size - 8_000
    while len(made := compress(body % text[:length])) != size:
        assert 0 < length < len(text)
        length += (size - len(made)) or 1
    return made


@pytest.mark.alone
def test_a_bomb_costs_nothing(server: ServerProcess, stream: Stream) -> None:
    """1000:1 bombs are refused while they are inflated: memory stays flat in both processes, others go on."""
    inner = b" " * (512 * MEBIBYTE)
    bombs = [(coding, compress(inner)) for coding, compress in CODINGS.items()]
    del inner
    assert all(len(bomb) * 900 < 512 * MEBIBYTE for _, bomb in bombs)
    processes = [server.pid, *children_of(server.pid)]
    stream.insert(body_of(60_000))
    before = [peak_memory_mib(pid) for pid in processes]
    with pinged(server) as pauses:
        for coding, bomb in bombs * 3:
            response = stream.insert(bomb, **{"Content-Encoding": coding})
            assert (response.status_code, response.json()["error"]) == (413, "payload_too_large")
    after = [peak_memory_mib(pid) for pid in processes]
    assert all(later - earlier < 16 for earlier, later in zip(before, after, strict=True)), (before, after)
    assert held_up_share(pauses) < 0.5
    assert not list((server.data_dir / "spool").glob("*.body"))
    assert stream.row_count() == 60_000
