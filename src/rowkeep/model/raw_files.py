"""Raw files: the files of file index tables, kept as they are. Source: contract 4.9.

A file has a name that is a path within its table. Clients make folders of it, so a path cannot lead out of
where they put it: it is relative and has no step up. Windows writes paths with backslashes; they mean the
same.
"""

import secrets
import unicodedata
from base64 import b64encode

import msgspec

from rowkeep.model.errors import invalid_request
from rowkeep.model.references import new_identifier
from rowkeep.model.schema import Schema, Variable, declared_schema
from rowkeep.model.types import VariableType

NAME_BYTES_MAX = 1024
FILES_PER_REQUEST_MAX = 10_000
_SECRET_BYTES = 16

FILE_ID = "file_id"
FILE_NAME = "file_name"


class ContentDigest(msgspec.Struct, frozen=True):
    """The digests of a file's content. `sha256` is hex, and the content is kept under it."""

    size: int
    md5: bytes
    sha256: str


class RawFile(msgspec.Struct, frozen=True):
    """A file of a file index table; `row` is the number of its row in the upload. Times are epoch ms."""

    id: int
    identifier: str
    upload_id: int
    row: int
    name: str
    size: int
    md5: bytes
    sha256: str
    temp_upload: str
    added_at: int

    @property
    def md5_text(self) -> str:
        """Returns the MD5 in the form that headers and lists use."""
        return md5_text(self.md5)


def md5_text(md5: bytes) -> str:
    """Returns an MD5 in the form that headers and lists use."""
    return b64encode(md5).decode()


def file_index_schema() -> Schema:
    """Returns the variables of a file index table."""
    return declared_schema(
        [
            Variable(FILE_ID, VariableType.STRING),
            Variable(FILE_NAME, VariableType.STRING),
            Variable("size", VariableType.INTEGER),
            Variable("md5_hash", VariableType.STRING),
            Variable("added_at", VariableType.DATE_TIME),
        ]
    )


def new_file_identifier() -> str:
    """Returns an id that nobody can guess, in the form clients know: `xxxx-yyyyyyyyy.` and 22 characters."""
    return f"{new_identifier()}.{secrets.token_urlsafe(_SECRET_BYTES)}"


def checked_file_name(name: str) -> str:
    """Returns a valid file name, with slashes for backslashes. Raises invalid_request_error."""
    path = name.replace("\\", "/")
    problem = _problem(path)
    if problem is not None:
        raise invalid_request(f"A file cannot be named {name[:100]!r}: {problem}.")
    return path


def _problem(path: str) -> str | None:
    if not path:
        return "the name is empty"
    if len(path.encode("utf-8", "replace")) > NAME_BYTES_MAX:
        return f"a name has at most {NAME_BYTES_MAX} bytes"
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in path):
        return "it has control characters"
    if any(step in ("", ".", "..") for step in path.split("/")):
        return "it must be a relative path like photos/first.jpg, without empty steps, `.` or `..`"
    return None
