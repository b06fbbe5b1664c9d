"""Records of CSV that have one field, a text.

An empty line is no record to most readers, so a null cannot be an empty field there. It is `""`, as an empty
text is, and where a variable can hold an empty text the line end tells them apart: a null ends in CRLF, all
else in LF like the header. So `""` is the empty text in every file whose lines end alike, whoever wrote it.
"""

from collections.abc import Iterable

from rowkeep.model.types import VariableType

_EMPTY_TEXT = b'""\n'
_NULL_BESIDE_EMPTY_TEXTS = b'""\r\n'


def one_column_records(texts: Iterable[str | None], type_: VariableType) -> bytes:
    """Returns the records of the texts, each in quotes."""
    null = _NULL_BESIDE_EMPTY_TEXTS if type_ is VariableType.STRING else _EMPTY_TEXT
    return b"".join(null if text is None else _quoted(text) for text in texts)


def _quoted(text: str) -> bytes:
    return b'"' + text.encode().replace(b'"', b'""') + b'"\n'
