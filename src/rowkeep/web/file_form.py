"""A form with a file: the file is passed on as it comes, its other fields are kept.

Who reads such bodies is given to the pages (compose does), as the API reads them too.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from typing import Any, Protocol

from rowkeep.model.errors import invalid_request

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]


class FileForm(Protocol):
    """One body. Iterate over `file_parts` to its end; then `fields` and `file_name` are whole."""

    file_name: str | None
    has_file: bool

    @property
    def fields(self) -> dict[str, bytes]:
        """Returns the fields beside the file, by name."""
        ...

    def file_parts(self) -> AsyncIterator[bytes]:
        """Yields the file as it comes."""
        ...


FileForms = Callable[[bytes, Receive], FileForm]


def chosen_file(form: FileForm) -> str:
    """Returns the name of the file. Raises invalid_request_error when none was chosen."""
    if not form.has_file or not form.file_name:
        raise invalid_request("No file was chosen. Go back, choose one, and press Import again.")
    return form.file_name
