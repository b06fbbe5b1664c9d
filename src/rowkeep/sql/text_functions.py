"""Functions of texts that DuckDB lacks or means differently (python_functions.py)."""

import json
import re
import unicodedata
from typing import Any
from urllib.parse import urlsplit

_word = re.compile(r"[^\s\[\](){}/|<>!?@\"^#$&~_,.:;*%+\-]+")
_format_element = re.compile(r"%([-+ #0']*)(\d*)(?:\.(\d+))?([a-zA-Z%])")
_SOUNDEX = {
    **dict.fromkeys("BFPV", "1"),
    **dict.fromkeys("CGJKQSXZ", "2"),
    **dict.fromkeys("DT", "3"),
    "L": "4",
    **dict.fromkeys("MN", "5"),
    "R": "6",
}
FORMAT_WIDTH_MAX = 1_000


def initcap(text: str) -> str:
    """Returns a text whose words begin with a capital and continue in lower case."""
    return _word.sub(lambda match: match[0][:1].upper() + match[0][1:].lower(), text)


def instr(text: str, part: str, position: int, occurrence: int) -> int:
    """Returns where a part occurs for the n-th time, forward or backward from a place; 0 if it does not."""
    if position == 0 or occurrence <= 0:
        raise ValueError("INSTR: the position must not be 0, and the occurrence must be positive.")
    if not part:
        return 0
    if position > 0:
        at = position - 2
        for _ in range(occurrence):
            at = text.find(part, at + 1)
            if at < 0:
                return 0
        return at + 1
    end = len(text) + position + len(part)
    at = -1
    for _ in range(occurrence):
        at = text.rfind(part, 0, max(end, 0))
        if at < 0:
            return 0
        end = at + len(part) - 1
    return at + 1


def contains(text: str, part: str) -> bool:
    """Returns whether a text holds another, ignoring case and the composition of letters."""
    return casefold(part, "NFKC") in casefold(text, "NFKC")


def normalize(text: str, form: str) -> str:
    """Returns a text in one of Unicode's normal forms."""
    return unicodedata.normalize(form, text)  # type: ignore[arg-type]


def casefold(text: str, form: str) -> str:
    """Returns NORMALIZE_AND_CASEFOLD: a text in a normal form, without case."""
    return normalize(normalize(text, form).casefold(), form)


def reverse(text: str) -> str:
    """Returns a text reversed."""
    return text[::-1]


def translate(text: str, source: str, target: str) -> str:
    """Replaces characters one by one. Characters without a counterpart are removed."""
    if len(set(source)) != len(source):
        raise ValueError("TRANSLATE: a character to be replaced is named twice.")
    return text.translate({ord(one): target[index : index + 1] for index, one in enumerate(source)})


def code_points_to_string(points: list[int | None]) -> str | None:
    """Returns a text made of code points."""
    if any(point is None for point in points):
        return None
    for point in points:
        if point is None or not 0 <= point < 0x110000 or 0xD800 <= point < 0xE000:
            raise ValueError(f"Invalid codepoint {point}")
    return "".join(chr(point) for point in points if point is not None)


def to_code_points(text: str) -> list[int]:
    """Returns the code points of a text."""
    return [ord(character) for character in text]


def soundex(text: str) -> str:
    """Returns the Soundex code of a text; empty without a letter."""
    letters = [letter.upper() for letter in text if letter.isascii() and letter.isalpha()]
    if not letters:
        return ""
    code, last = letters[0], _SOUNDEX.get(letters[0], "")
    for letter in letters[1:]:
        digit = _SOUNDEX.get(letter, "")
        if digit and digit != last:
            code += digit
        if letter not in "HW":
            last = digit
    return code[:4].ljust(4, "0")


def edit_distance(one: str, other: str) -> int:
    """Returns how many characters must be changed, added or removed to make one text the other."""
    before = list(range(len(other) + 1))
    for row, character in enumerate(one, 1):
        current = [row]
        for column, against in enumerate(other, 1):
            current.append(
                min(before[column] + 1, current[-1] + 1, before[column - 1] + (character != against))
            )
        before = current
    return before[-1]


def text_of_bytes(data: bytes) -> str:
    """Returns bytes as a text. Bytes that are not UTF-8 are replaced."""
    return data.decode("utf-8", errors="replace")


def host(url: str) -> str | None:
    """Returns the host of a URL, or None when it has none."""
    stripped = url.strip()
    try:
        found = urlsplit(stripped if "//" in stripped else f"//{stripped}").netloc
    except ValueError:
        return None
    name = found.rpartition("@")[2]
    if name.startswith("["):
        return name[: name.find("]") + 1] or None
    return name.partition(":")[0] or None


def format_text(format_: str, values: list[str | None]) -> str | None:
    """Returns FORMAT with values that are already texts."""
    rest = iter(values)
    missing = False

    def element(match: "re.Match[str]") -> str:
        nonlocal missing
        if match[4] == "%":
            return "%"
        value = next(rest)
        if value is None:
            missing = True
            return ""
        return _formatted(match, value)

    made = _format_element.sub(element, format_)
    return None if missing else made


def _formatted(match: "re.Match[str]", value: str) -> str:
    flags, width, precision, letter = match[1], int(match[2] or 0), match[3], match[4]
    if width > FORMAT_WIDTH_MAX or int(precision or 0) > FORMAT_WIDTH_MAX:
        raise ValueError(f"FORMAT: a width of more than {FORMAT_WIDTH_MAX}.")
    spec = (
        "%" + flags.replace("'", "") + (str(width) if width else "") + (f".{precision}" if precision else "")
    )
    if letter in "di":
        return f"{int(value):,}".rjust(width) if "'" in flags else str((spec + "d") % int(value))
    if letter in "xXo":
        return str((spec + letter) % int(value))
    if letter in "fFeEgG":
        return str((spec + letter) % float(value.replace("Infinity", "inf")))
    return str((spec + "s") % value)


def json_array(text: str, path: str, wanted: str) -> list[str | None] | None:
    """Returns the elements of an array in JSON: as JSON, or only the scalars, as texts."""
    found = _at_path(json.loads(text), path)
    if not isinstance(found, list):
        return None
    if wanted == "json":
        return [_compact(element) for element in found]
    return [
        None if element is None or isinstance(element, dict | list) else _scalar(element) for element in found
    ]


def _at_path(value: Any, path: str) -> Any:
    for match in re.finditer(r'\."([^"]*)"|\[(\d+)\]', path):
        name, index = match[1], match[2]
        if name is not None:
            value = value.get(name) if isinstance(value, dict) else None
        else:
            value = value[int(index)] if isinstance(value, list) and int(index) < len(value) else None
    return value


def _compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _scalar(value: Any) -> str:
    return value if isinstance(value, str) else _compact(value)
