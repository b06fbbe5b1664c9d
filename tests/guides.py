"""The blocks of code on a page of the documentation, for tests that paste them."""

import re

_blocks = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL).findall


def blocks_of(page: str) -> list[tuple[str, str]]:
    """The language of each block, empty for what is printed, and its text."""
    return _blocks(page)


def python_of(page: str) -> str:
    """The one block of Python on a page."""
    (snippet,) = [text for language, text in blocks_of(page) if language == "python"]
    return snippet
