"""The names of segments' files. They help people who look into a folder; rowkeep itself asks the catalog."""

import re
import secrets

SUFFIX = ".parquet"
UNFINISHED = ".unfinished"
# Where files without a name go: for some days, and those with rows that the catalog does not know for ever.
LOST_AND_FOUND = "lost+found"
NEWER = f"{LOST_AND_FOUND}/newer"

# Names of earlier versions hold the end of the rows too.
_is_name = re.compile(rf"-?\d+-\d+(?:-\d+)?-[0-9a-f]{{8}}{re.escape(SUFFIX)}", re.ASCII).fullmatch


def is_segment_file(name: str) -> bool:
    """Returns whether a name is one that rowkeep gives to segments, finished or not."""
    return _is_name(name.removesuffix(UNFINISHED)) is not None


def new_name(upload_id: int, first_row: int) -> str:
    """Returns a new file name, made of the upload, its first row and a random part."""
    return f"{upload_id}-{first_row}-{secrets.token_hex(4)}{SUFFIX}"


def checked_name(name: str) -> str:
    """Returns the name if it is a segment's. Raises ValueError for anything else, such as a path."""
    if not _is_name(name):
        raise ValueError(f"{name!r} is no name of a segment")
    return name
