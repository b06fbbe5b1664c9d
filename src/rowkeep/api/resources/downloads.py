"""How a file is sent: whole or in part, with its name, its length and its digest."""

from urllib.parse import quote

from rowkeep.api.http.endpoint import StreamAnswer
from rowkeep.api.http.ranges import asked_range
from rowkeep.api.http.request import ApiRequest
from rowkeep.api.http.wire import Headers
from rowkeep.model.errors import RowkeepError
from rowkeep.model.exports import MEDIA_TYPES
from rowkeep.services.exports import Download


def file_answer(request: ApiRequest, download: Download) -> StreamAnswer:
    """The answer with a file, or the part of it that is asked for. Raises range_not_satisfiable."""
    byte_count = download.file.byte_count
    try:
        asked = _wanted_range(request, download)
    except RowkeepError:
        download.content.close()
        raise
    first, end = asked or (0, byte_count)
    headers = [*_headers(download), (b"content-length", b"%d" % (end - first))]
    if asked is not None:
        headers.append((b"content-range", b"bytes %d-%d/%d" % (first, end - 1, byte_count)))
    if request.is_head:
        download.content.close()
    return StreamAnswer(headers, download.content.parts(first, end), 200 if asked is None else 206)


def _wanted_range(request: ApiRequest, download: Download) -> tuple[int, int] | None:
    """The range that is asked for; of another file than this one, none (RFC 9110, 13.1.5)."""
    condition = request.headers.get(b"if-range")
    if condition is not None and condition.strip() != _entity_tag(download):
        return None
    return asked_range(request.headers.get(b"range"), download.file.byte_count)


def _entity_tag(download: Download) -> bytes:
    return b'"%b"' % download.file.md5.encode()


def _headers(download: Download) -> Headers:
    digest = download.file.md5.encode()
    media_type = MEDIA_TYPES[download.options.format]
    if download.name.endswith(".gz"):
        media_type = "application/gzip"
    elif download.name.endswith(".zst"):
        media_type = "application/zstd"
    name = quote(download.name)
    return [
        (b"content-type", media_type.encode()),
        (b"content-disposition", f"attachment; filename=\"{name}\"; filename*=UTF-8''{name}".encode()),
        (b"accept-ranges", b"bytes"),
        (b"etag", _entity_tag(download)),
        (b"content-digest", b"md5=:%b:" % digest),
        (b"x-goog-hash", b"md5=%b" % digest),
    ]
