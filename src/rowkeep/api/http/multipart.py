"""Bodies of `multipart/form-data`, read part by part as they come: fields are kept, the file is passed on.

The field `data` is the file, whatever its part says of itself; every other one is a text. Source:
contract 4.5.
"""

from collections.abc import AsyncIterator

from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header

from rowkeep.model.errors import invalid_request

FIELD_BYTES_MAX = 4 * 1024 * 1024
FIELDS_MAX = 100
HEADER_BYTES_MAX = 16 * 1024
FILE_FIELD = "data"


class MultipartForm:
    """One body. Iterate over `file_parts` to its end; then `fields` and `file_name` are whole."""

    def __init__(self, content_type: bytes, parts: AsyncIterator[bytes]) -> None:
        _, options = parse_options_header(content_type)
        boundary = options.get(b"boundary")
        if not boundary:
            raise invalid_request("The Content-Type multipart/form-data names no boundary.")
        self._parts = parts
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin,
                "on_header_field": self._add_header_field,
                "on_header_value": self._add_header_value,
                "on_header_end": self._end_header,
                "on_headers_finished": self._name_part,
                "on_part_data": self._add_data,
                "on_end": self._end,
            },
        )
        self._header, self._value = bytearray(), bytearray()
        self._disposition = b""
        self._name = ""
        self._content = bytearray()
        self._is_ended = False
        self._values: dict[str, bytearray] = {}
        self.file_name: str | None = None
        self.has_file = False

    @property
    def fields(self) -> dict[str, bytes]:
        """Returns the fields beside the file, by name."""
        return {name: bytes(value) for name, value in self._values.items()}

    async def file_parts(self) -> AsyncIterator[bytes]:
        """Yields the file as it comes. Raises invalid_request_error for a body that is not such a form."""
        async for part in self._parts:
            try:
                self._parser.write(part)
            except MultipartParseError as error:
                raise invalid_request(f"The multipart body is malformed: {error}.") from error
            if self._content:
                yield bytes(self._content)
                self._content.clear()
        if not self._is_ended:
            raise invalid_request("The multipart body ends before its last boundary.")

    def _begin(self) -> None:
        self._disposition, self._name = b"", ""

    def _add_header_field(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]
        self._check_header()

    def _add_header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]
        self._check_header()

    def _check_header(self) -> None:
        if len(self._header) + len(self._value) > HEADER_BYTES_MAX:
            raise invalid_request("A part of the multipart body has too long a header.")

    def _end_header(self) -> None:
        if self._header.lower() == b"content-disposition":
            self._disposition = bytes(self._value)
        self._header.clear()
        self._value.clear()

    def _name_part(self) -> None:
        _, options = parse_options_header(self._disposition)
        self._name = options.get(b"name", b"").decode("utf-8", "replace")
        if self._name == FILE_FIELD:
            self.has_file = True
            self.file_name = options.get(b"filename", b"").decode("utf-8", "replace") or None
        elif len(self._values) >= FIELDS_MAX:
            raise invalid_request(f"The multipart body has more than {FIELDS_MAX} fields.")
        else:
            self._values[self._name] = bytearray()

    def _add_data(self, data: bytes, start: int, end: int) -> None:
        if self._name == FILE_FIELD:
            self._content += data[start:end]
            return
        value = self._values[self._name]
        value += data[start:end]
        if len(value) > FIELD_BYTES_MAX:
            raise invalid_request(f"The field {self._name!r} has more than {FIELD_BYTES_MAX} bytes.")

    def _end(self) -> None:
        self._is_ended = True
