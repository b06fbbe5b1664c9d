"""The answer with a file: all of it or a part, with its name, its length and its digest."""

import re
from urllib.parse import quote

import msgspec

from rowkeep.api.http.endpoint import StreamAnswer
from rowkeep.api.http.ranges import asked_range
from rowkeep.api.http.request import ApiRequest
from rowkeep.api.http.wire import Headers
from rowkeep.model.errors import RowkeepError
from rowkeep.storage.engines import OpenFile

_is_plain = re.compile(r"[\w .,()+@=~!#$&'-]+", re.ASCII).fullmatch


class SentFile(msgspec.Struct, frozen=True):
    """An open file that is sent. `md5` is in Base64, as headers have it."""

    name: str
    media_type: str
    byte_count: int
    md5: str
    content: OpenFile


def file_answer(request: ApiRequest, file: SentFile) -> StreamAnswer:
    """Returns the answer with a file, or with the part that is asked for. Raises range_not_satisfiable."""
    try:
        asked = _wanted_range(request, file)
    except RowkeepError:
        file.content.close()
        raise
    first, end = asked or (0, file.byte_count)
    headers = [*_headers(file), (b"content-length", b"%d" % (end - first))]
    if asked is not None:
        headers.append((b"content-range", b"bytes %d-%d/%d" % (first, end - 1, file.byte_count)))
    if request.is_head:
        file.content.close()
    return StreamAnswer(headers, file.content.parts(first, end), 200 if asked is None else 206)


def _wanted_range(request: ApiRequest, file: SentFile) -> tuple[int, int] | None:
    """Returns the range that is asked for.

    A request whose condition names another file gets the whole file (RFC 9110, 13.1.5).
    """
    condition = request.headers.get(b"if-range")
    if condition is not None and condition.strip() != _entity_tag(file):
        return None
    return asked_range(request.headers.get(b"range"), file.byte_count)


def _entity_tag(file: SentFile) -> bytes:
    return b'"%b"' % file.md5.encode()


def _headers(file: SentFile) -> Headers:
    digest = file.md5.encode()
    return [
        (b"content-type", file.media_type.encode()),
        # The type is what the name says: a browser is not to guess another.
        (b"x-content-type-options", b"nosniff"),
        (b"content-disposition", disposition(file.name)),
        (b"accept-ranges", b"bytes"),
        (b"etag", _entity_tag(file)),
        (b"content-digest", b"md5=:%b:" % digest),
        (b"x-goog-hash", b"md5=%b" % digest),
    ]


def disposition(name: str) -> bytes:
    """Returns the header that names a file.

    A plain name is written once, since older Python clients fail at the second form.
    """
    if _is_plain(name):
        return f'attachment; filename="{name}"'.encode()
    encoded = quote(name, safe="")
    return f"attachment; filename=\"{encoded}\"; filename*=UTF-8''{encoded}".encode()
