"""Text files: inflated, decoded to UTF-8, and told apart from files that are no text.

A file that is plain UTF-8 is read where it lies; any other is written to the scratch folder once, so that
what reads it sees nothing but UTF-8. A file that breaks off or whose checksum is wrong is refused here,
before any row is read.
"""

import codecs
from collections.abc import Iterator
from pathlib import Path

import msgspec

from rowkeep.formats.files.detection import content_name, inflated_coding
from rowkeep.formats.files.table import Source, unreadable
from rowkeep.model.errors import RowkeepError, invalid_request
from rowkeep.model.inflating import ContentCoding, inflated_pieces

_BLOCK_BYTES = 1024 * 1024
_SAMPLE_BYTES = 64 * 1024
# A file may inflate to this in any case, and beyond that to so many times its own size.
_INFLATED_BYTES_FREE = 256 * 1024 * 1024
_INFLATED_RATIO_MAX = 500
# So much of a text may be control characters; of a binary file, far more is.
_CONTROL_SHARE_MAX = 0.02
_CONTROL_BYTES = bytes(set(range(32)) - set(b"\t\n\r\f\x1a\x1b\x1e"))
_UTF16_ZERO_SHARE_MIN = 0.2
_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
# Codecs of Python that are no encodings of text.
_NOT_ENCODINGS = {"idna", "punycode", "unicode_escape", "raw_unicode_escape", "undefined", "utf-7"}
FALLBACK_ENCODING = "cp1252"


class PlainText(msgspec.Struct, frozen=True):
    """A file of UTF-8. Its text begins at the byte `start`, behind a byte order mark.

    `encoding` is the one that the file came in.
    """

    path: Path
    start: int
    encoding: str
    compression: str | None
    warnings: tuple[str, ...] = ()


def plain_text(source: Source) -> PlainText:
    """Returns the text of a file. Raises invalid_request_error for a file that is cut off or not text."""
    path, compression = _inflated(source)
    with path.open("rb") as file:
        sample = file.read(_SAMPLE_BYTES)
    mark = next((bom for bom, _ in _BYTE_ORDER_MARKS if sample.startswith(bom)), b"")
    encoding = _encoding(source, sample, mark)
    if encoding in ("utf-8", "ascii"):
        _check_is_text(source, sample)
        problem = _utf8_problem(path)
        if problem is None:
            return PlainText(path, len(mark), "utf-8", compression)
        if source.options.encoding is not None or mark:
            raise unreadable(source, f"{problem}. Save it as UTF-8, or give its `encoding`.")
        return _decoded(source, path, FALLBACK_ENCODING, 0, compression, (_guessed(problem),))
    return _decoded(source, path, encoding, len(mark), compression, ())


def _inflated(source: Source) -> tuple[Path, str | None]:
    """Returns the inflated file, and how it was compressed."""
    with source.path.open("rb") as file:
        coding = inflated_coding(file.read(4))
    if coding is None:
        return source.path, None
    path = source.scratch / "inflated"
    bytes_max = max(_INFLATED_BYTES_FREE, _INFLATED_RATIO_MAX * source.path.stat().st_size)
    size = 0
    with path.open("wb") as target:
        try:
            for piece in inflated_pieces(_blocks(source.path), coding):
                size += len(piece)
                if size > bytes_max:
                    raise unreadable(source, _too_dense(coding))
                target.write(piece)
        except RowkeepError as error:
            if size > bytes_max:
                raise
            raise unreadable(source, _not_whole(coding, error)) from error
    return path, coding.value


def _too_dense(coding: ContentCoding) -> str:
    return (
        f"it is compressed with {coding} more than {_INFLATED_RATIO_MAX} times, as no table is. "
        "Inflate it yourself if it is one."
    )


def _not_whole(coding: ContentCoding, error: RowkeepError) -> str:
    reason = error.message.partition(": ")[2].partition(". Nothing")[0]
    return f"it is compressed with {coding} and not whole ({reason}). Send it again."


def _blocks(path: Path, start: int = 0) -> Iterator[bytes]:
    with path.open("rb") as file:
        file.seek(start)
        while block := file.read(_BLOCK_BYTES):
            yield block


def _encoding(source: Source, sample: bytes, mark: bytes) -> str:
    asked = source.options.encoding
    if asked is not None:
        return _known_encoding(asked)
    if mark:
        return dict(_BYTE_ORDER_MARKS)[mark]
    # Western text in UTF-16 has a zero in every second byte.
    for offset, encoding in ((1, "utf-16-le"), (0, "utf-16-be")):
        zeros, others = sample[offset::2].count(0), sample[1 - offset :: 2].count(0)
        if len(sample) >= 4 and zeros > len(sample) / 2 * _UTF16_ZERO_SHARE_MIN and not others:
            return encoding
    return "utf-8"


def _known_encoding(name: str) -> str:
    try:
        codec = codecs.lookup(name)
        "".encode(name)
    except LookupError:
        codec = None
    if codec is None or codec.name in _NOT_ENCODINGS:
        raise invalid_request(
            f"The encoding {name!r} is not known; UTF-8, cp1252 and utf-16 are some that are."
        )
    return codec.name


def _check_is_text(source: Source, sample: bytes) -> None:
    if not sample:
        raise unreadable(source, "it is empty.")
    controls = len(sample) - len(sample.translate(None, _CONTROL_BYTES))
    name = content_name(sample)
    if name is not None:
        raise unreadable(
            source, f"it is {name}, whatever its name says. Give its `type`, or send it unpacked."
        )
    if controls > len(sample) * _CONTROL_SHARE_MAX and controls > 1:
        raise unreadable(source, "it is binary and no text.")


def _utf8_problem(path: Path) -> str | None:
    """Returns where a file stops being UTF-8, or None."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    line = 1
    pending = b""
    for block in _blocks(path):
        try:
            if pending or not block.isascii():
                decoder.decode(block)
                pending = decoder.getstate()[0]
        except UnicodeDecodeError as error:
            line += error.object[: error.start].count(b"\n")
            return f"its line {line} has the byte 0x{error.object[error.start]:02x}, which is not UTF-8"
        line += block.count(b"\n")
    return f"it ends in the middle of a UTF-8 character, in line {line}" if pending else None


def _guessed(problem: str) -> str:
    return (
        f"The text is not UTF-8: {problem}. It was read as {FALLBACK_ENCODING} (Western European); "
        "give `encoding` if letters look wrong."
    )


def _decoded(
    source: Source, path: Path, encoding: str, start: int, compression: str | None, warnings: tuple[str, ...]
) -> PlainText:
    """Writes the file again as UTF-8. Returns the result."""
    decoder = codecs.getincrementaldecoder(encoding)()
    target = source.scratch / "decoded"
    line = 1
    with target.open("w", encoding="utf-8", newline="") as file:
        try:
            for block in _blocks(path, start):
                text = decoder.decode(block)
                line += text.count("\n")
                file.write(text)
            file.write(decoder.decode(b"", final=True))
        except (UnicodeDecodeError, UnicodeEncodeError) as error:
            raise unreadable(
                source, f"it is not {encoding} ({error.reason}, after line {line}). Give its `encoding`."
            ) from error
    _check_is_text(
        source, target.read_bytes()[:_SAMPLE_BYTES] if target.stat().st_size < _BLOCK_BYTES else b" "
    )
    return PlainText(target, 0, encoding, compression, warnings)
