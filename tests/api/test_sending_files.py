"""Files on their way to an upload: as a body, in a form, whole or in pieces. Source: contract 4.5, 4.8."""

import itertools
import json
import socket
from collections.abc import Iterator
from contextlib import closing
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from tests import plain_http
from tests.api.stream import Stream
from tests.server_process import ServerProcess, wait_until

CSV = b"site,n\nBern,1\nZurich,2\n"
ROWS = [{"site": "Bern", "n": 1}, {"site": "Zurich", "n": 2}]
names = itertools.count(1)


@pytest.fixture
def stream(server: ServerProcess) -> Iterator[Stream]:
    """A table of its own."""
    made = Stream(server.url, server.token, None, server.user)
    yield made
    made.close()


def loaded(stream: Stream, created: httpx.Response) -> list[dict[str, Any]]:
    """The rows of an upload once it is loaded."""
    assert created.status_code == 201, created.text
    uri = created.json()["uri"]
    wait_until(lambda: stream.client.get(uri).json()["status"] in ("completed", "failed"))
    done = stream.client.get(uri).json()
    assert done["status"] == "completed", done["errorMessage"]
    return [json.loads(line) for line in stream.client.get(f"{uri}/rows").content.splitlines()]


def temp_upload(stream: Stream, **facts: Any) -> dict[str, Any]:
    """A temporary upload, as the answer shows it."""
    answer = stream.client.post(f"{stream.table_uri}/tempUploads", json={"tempUploads": [facts]})
    assert answer.status_code == 200, answer.text
    shown: dict[str, Any] = answer.json()["results"][0]
    return shown


def created_of(stream: Stream, identifier: str, **facts: Any) -> httpx.Response:
    """The answer to creating an upload of a temporary one."""
    draft = {"name": f"file {next(names)}.csv", "tempUploadId": identifier, **facts}
    return stream.client.post(f"{stream.table_uri}/uploads", json=draft)


def piece(stream: Stream, url: str, content: bytes, content_range: str) -> httpx.Response:
    """The answer to a piece."""
    return stream.client.put(url, content=content, headers={"Content-Range": content_range})


def test_a_file_as_the_body(stream: Stream) -> None:
    """What is said of the file stands in the query."""
    created = stream.client.post(
        f"{stream.table_uri}/uploads",
        params={"name": "a.csv"},
        content=CSV,
        headers={"Content-Type": "text/csv"},
    )
    assert loaded(stream, created) == ROWS
    assert created.json()["name"] == "a.csv"


@pytest.mark.parametrize("metadata_type", [None, "application/json"])
def test_a_form_as_clients_send_it(stream: Stream, metadata_type: str | None) -> None:
    """The parts `metadata` and `data`: Python's without a type of its own, R's with one."""
    metadata = json.dumps({"name": "b.csv", "type": None, "metadata": None, "nullMarkers": None}).encode()
    part = ("metadata", metadata) if metadata_type is None else ("metadata", metadata, metadata_type)
    files = {"metadata": part, "data": ("b.csv", CSV)}
    created = stream.client.post(f"{stream.table_uri}/uploads", files=files)
    assert loaded(stream, created) == ROWS
    assert created.json()["name"] == "b.csv"


def test_a_form_of_fields(stream: Stream) -> None:
    """Older clients send each property as a field beside the file."""
    data = {"name": "c.txt", "hasHeaderRow": "True", "delimiter": ";", "skipBadRecords": "False"}
    files = {"data": ("x", CSV.replace(b",", b";"))}
    assert loaded(stream, stream.client.post(f"{stream.table_uri}/uploads", data=data, files=files)) == ROWS


def test_the_name_of_the_part_serves(stream: Stream) -> None:
    """A form that names nothing takes the name of the file."""
    files = {"metadata": ("metadata", b"{}"), "data": ("d.csv", CSV)}
    created = stream.client.post(f"{stream.table_uri}/uploads", files=files)
    assert created.json()["name"] == "d.csv"
    assert loaded(stream, created) == ROWS


FORM = "multipart/form-data; boundary=b"


def part_of(name: str, content: bytes = b"1") -> bytes:
    """A part of a form whose boundary is b."""
    return b'--b\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n' % (name.encode(), content)


BROKEN_FORMS = {
    "no boundary": ("multipart/form-data", b"x"),
    "no file": (
        "multipart/form-data; boundary=b",
        b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--b--\r\n',
    ),
    "cut off": (
        "multipart/form-data; boundary=b",
        b'--b\r\nContent-Disposition: form-data; name="data"\r\n\r\n1',
    ),
    "no form": (FORM, b"site,n\n1,2\n"),
    "metadata is no object": (FORM, part_of("metadata", b"{]") + part_of("data") + b"--b--\r\n"),
}


@pytest.mark.parametrize("form", BROKEN_FORMS)
def test_broken_forms(stream: Stream, form: str) -> None:
    """A body that is no form is refused, and leaves no upload."""
    content_type, body = BROKEN_FORMS[form]
    path = f"{stream.table_uri}/uploads"
    answer = stream.client.post(path, content=body, headers={"Content-Type": content_type})
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request_error")
    assert [upload["name"] for upload in stream.client.get(path).json()["results"]] == ["s"]


def test_several_temporary_uploads_at_a_time(stream: Stream) -> None:
    """They come in the order in which they were asked for; what was said of each is repeated."""
    drafts = [{"name": f"{number}.csv", "size": number, "resumable": number % 2 == 0} for number in range(5)]
    answer = stream.client.post(f"{stream.table_uri}/tempUploads", json={"tempUploads": drafts})
    assert answer.json()["kind"] == "tempUploadList"
    shown = answer.json()["results"]
    assert [{name: item[name] for name in ("name", "size", "resumable")} for item in shown] == drafts
    assert len({item["id"] for item in shown}) == len(drafts)


@pytest.mark.parametrize("count", [1000, 1001])
def test_how_many_at_a_time(stream: Stream, count: int) -> None:
    """A thousand are made at a time, and no more."""
    drafts = [{"size": 1}] * count
    answer = stream.client.post(f"{stream.table_uri}/tempUploads", json={"tempUploads": drafts})
    assert answer.status_code == (200 if count == 1000 else 400)


def test_a_plain_put(stream: Stream) -> None:
    """The whole file goes to the address that was given; sending it again is no error."""
    made = temp_upload(stream, size=len(CSV))
    assert made["url"].startswith("http://")
    assert [stream.client.put(made["url"], content=CSV).status_code for _ in range(2)] == [200, 200]
    assert loaded(stream, created_of(stream, made["id"])) == ROWS
    assert stream.client.put(made["url"], content=CSV).status_code in (404, 409)  # it is loaded and gone


def test_a_file_of_another_size_is_refused(stream: Stream) -> None:
    """A file that is not as large as was said is not taken."""
    made = temp_upload(stream, size=len(CSV) + 1)
    assert stream.client.put(made["url"], content=CSV).status_code == 400
    assert created_of(stream, made["id"]).status_code == 400


def session_of(stream: Stream, made: dict[str, Any], size: int) -> str:
    """The address of a session, opened as the clients open it."""
    headers = {"x-upload-content-length": str(size), "x-goog-resumable": "start"}
    opened = stream.client.post(made["url"], headers=headers)
    assert opened.status_code == 200
    return opened.headers["location"]


@pytest.mark.parametrize("total", ["known", "unknown"])
@pytest.mark.parametrize("size", [1, 7, 1000])
def test_pieces_of_any_size(stream: Stream, size: int, total: str) -> None:
    """Pieces are put together; 308 says how much is there until the last one."""
    made = temp_upload(stream, resumable=True, **({"size": len(CSV)} if total == "known" else {}))
    url = session_of(stream, made, len(CSV))
    for start in range(0, len(CSV), size):
        content = CSV[start : start + size]
        is_last = start + size >= len(CSV)
        said = len(CSV) if total == "known" or is_last else "*"
        answer = piece(stream, url, content, f"bytes {start}-{start + len(content) - 1}/{said}")
        if is_last:
            assert answer.status_code == 200
        else:
            assert (answer.status_code, answer.headers["range"]) == (308, f"bytes=0-{start + size - 1}")
    assert loaded(stream, created_of(stream, made["id"])) == ROWS


def test_an_empty_file_in_pieces(stream: Stream) -> None:
    """An empty file is sent as `bytes 0--1/0`."""
    made = temp_upload(stream, size=0, resumable=True)
    assert piece(stream, session_of(stream, made, 0), b"", "bytes 0--1/0").status_code == 200


def test_asking_how_much_is_there(stream: Stream) -> None:
    """A probe says nothing, a part, all; a piece that begins elsewhere is told where to go on."""
    made = temp_upload(stream, size=len(CSV), resumable=True)
    url = session_of(stream, made, len(CSV))
    probe = f"bytes */{len(CSV)}"
    nothing = piece(stream, url, b"", probe)
    assert (nothing.status_code, "range" in nothing.headers) == (308, False)
    assert piece(stream, url, CSV[:10], f"bytes 0-9/{len(CSV)}").headers["range"] == "bytes=0-9"
    gap = piece(stream, url, CSV[15:], f"bytes 15-{len(CSV) - 1}/{len(CSV)}")
    assert (gap.status_code, gap.headers["range"]) == (308, "bytes=0-9")
    overlap = piece(stream, url, CSV[4:15], f"bytes 4-14/{len(CSV)}")
    assert (overlap.status_code, overlap.headers["range"]) == (308, "bytes=0-14")
    assert piece(stream, url, CSV[15:], f"bytes 15-{len(CSV) - 1}/{len(CSV)}").status_code == 200
    assert piece(stream, url, b"", probe).status_code == 200
    assert piece(stream, url, CSV[15:], f"bytes 15-{len(CSV) - 1}/{len(CSV)}").status_code == 200
    assert loaded(stream, created_of(stream, made["id"])) == ROWS


@pytest.mark.parametrize("text", ["bytes 0-9", "0-9/10", "bytes a-b/c", "bytes 0-9/5x", "lines 0-1/2"])
def test_ranges_that_are_none(stream: Stream, text: str) -> None:
    """A range that cannot be read is refused in words."""
    made = temp_upload(stream, resumable=True)
    answer = piece(stream, made["url"], b"x" * 10, text)
    assert answer.status_code == 400
    assert "bytes FIRST-LAST/TOTAL" in answer.json()["error_description"]


def test_more_than_was_said(stream: Stream) -> None:
    """A piece that goes beyond the file's end is refused."""
    made = temp_upload(stream, size=5, resumable=True)
    assert piece(stream, made["url"], b"x" * 10, "bytes 0-9/10").status_code == 400
    assert piece(stream, made["url"], b"x" * 10, "bytes 0-9/5").status_code == 400


def test_a_sender_that_leaves_goes_on(server: ServerProcess, stream: Stream) -> None:
    """What came of a piece before the connection broke is kept."""
    made = temp_upload(stream, size=3_000_000, resumable=True)
    content = b"a" * 3_000_000
    parts = urlsplit(made["url"])
    with closing(socket.create_connection((parts.hostname, parts.port))) as connection:
        head = (
            f"PUT {parts.path} HTTP/1.1\r\nhost: {parts.netloc}\r\nauthorization: Bearer {server.token}\r\n"
            f"content-range: bytes 0-2999999/3000000\r\ncontent-length: 3000000\r\n\r\n"
        )
        connection.sendall(head.encode() + content[:1_000_000])

    def there() -> int:
        text = piece(stream, made["url"], b"", "bytes */3000000").headers.get("range", "bytes=0--1")
        return int(text.partition("=0-")[2]) + 1

    wait_until(lambda: there() > 0)
    start = there()
    assert start <= 1_000_000
    answer = piece(stream, made["url"], content[start:], f"bytes {start}-2999999/3000000")
    assert answer.status_code == 200


def test_a_server_that_is_killed_goes_on(own_server: ServerProcess) -> None:
    """After a kill the pieces that were answered are there, and the file is loaded."""
    stream = Stream(own_server.url, own_server.token, None, own_server.user)
    made = temp_upload(stream, size=len(CSV), resumable=True)
    path = urlsplit(made["url"]).path
    assert piece(stream, made["url"], CSV[:10], f"bytes 0-9/{len(CSV)}").status_code == 308
    table = stream.table_uri
    stream.close()
    own_server.kill()
    own_server.start()
    with plain_http.client(headers={"Authorization": f"Bearer {own_server.token}"}) as client:
        url = own_server.url.removesuffix("/api/v1") + path
        asked = client.put(url, headers={"Content-Range": f"bytes */{len(CSV)}"})
        assert asked.headers["range"] == "bytes=0-9"
        rest = client.put(url, content=CSV[10:], headers={"Content-Range": f"bytes 10-22/{len(CSV)}"})
        assert rest.status_code == 200, rest.text
        draft = {"name": "a.csv", "tempUploadId": made["id"]}
        created = client.post(f"{own_server.url}{table}/uploads", json=draft).json()
        uri = f"{own_server.url}{created['uri']}"
        wait_until(lambda: client.get(uri).json()["status"] in ("completed", "failed"))
        assert client.get(uri).json()["numRows"] == len(ROWS)


def test_older_clients_say_resumable_upload(stream: Stream) -> None:
    """`resumableUpload` gives the address of a session; the upload names it as `resumableUploadId`."""
    made = stream.client.post(f"{stream.table_uri}/resumableUpload", json={"size": len(CSV)}).json()
    assert made["kind"] == "resumableUpload"
    assert piece(stream, made["url"], CSV, f"bytes 0-{len(CSV) - 1}/{len(CSV)}").status_code == 200
    draft = {"name": "old.csv", "resumableUploadId": made["id"]}
    assert loaded(stream, stream.client.post(f"{stream.table_uri}/uploads", json=draft)) == ROWS


R_NULLS = (
    *("type", "schema", "metadata", "hasQuotedNewlines", "quoteCharacter", "escapeCharacter"),
    *("nullMarkers", "delimiter", "transferSpecification"),
)


@pytest.mark.parametrize("is_resumable", [False, True])
def test_the_requests_of_r(stream: Stream, is_resumable: bool) -> None:
    """What the R client sends for a large file, request by request, with explicit nulls (contract 6.2)."""
    asked = temp_upload(stream, size=len(CSV), name="r.csv", resumable=is_resumable)
    assert asked["resumable"] is is_resumable
    url = asked["url"]
    if is_resumable:
        start = {"x-upload-content-length": str(len(CSV)), "x-goog-resumable": "start", "Content-Length": "0"}
        url = stream.client.post(url, headers=start).headers["location"]
        assert piece(stream, url, CSV, f"bytes 0-{len(CSV) - 1}/{len(CSV)}").status_code == 200
    else:
        assert stream.client.put(url, content=CSV).status_code == 200
    uri = f"{stream.table_uri}/uploads/r_csv"
    assert stream.client.head(uri).status_code == 404
    said = {"name": "r.csv", "hasHeaderRow": True, "skipBadRecords": False, "allowJaggedRows": False}
    draft = {**said, **dict.fromkeys(R_NULLS), "tempUploadId": asked["id"]}
    assert loaded(stream, stream.client.post(f"{stream.table_uri}/uploads", json=draft)) == ROWS
    assert stream.client.head(uri).status_code == 200


def test_a_file_is_its_senders_alone(server: ServerProcess, stream: Stream) -> None:
    """Another caller, or none, finds nothing at the address."""
    made = temp_upload(stream, size=1)
    for headers in ({}, {"Authorization": "Bearer wrong"}):
        answer = plain_http.request("PUT", made["url"], content=b"x", headers=headers)
        assert answer.status_code in (401, 404)
    assert plain_http.request("PUT", f"{server.url}/tempUploads/none", content=b"x").status_code in (401, 404)
