"""The load of a file for a page: its progress, the detected properties of the file, and its errors."""

import msgspec

from rowkeep.model.files import Detected, FileOptions
from rowkeep.model.jobs import Job
from rowkeep.model.loads import LoadArguments, LoadResult

_NAMES = {
    "type": "Type",
    "compression": "Compression",
    "encoding": "Encoding",
    "delimiter": "Delimiter",
    "quote_character": "Quote character",
    "escape_character": "Escape character",
    "has_header_row": "First row holds names",
    "has_quoted_newlines": "Line breaks within quotes",
    "layer": "Sheet or layer",
}
_INVISIBLE = {"\t": "tab", " ": "space", "": "none", "true": "yes", "false": "no"}


class Load(msgspec.Struct, frozen=True):
    """A load: its job, its sender's options, and its result so far."""

    job: Job
    asked: FileOptions
    result: LoadResult
    byte_count: int

    @property
    def percent(self) -> int:
        """Returns the progress in percent."""
        return int(self.job.fraction * 100)

    @property
    def facts(self) -> list[tuple[str, str]]:
        """Returns the properties with which the file was read, in the words of the page."""
        detected = self.result.detected
        return [] if detected is None else _facts(detected, self.asked)


def load_of(job: Job) -> Load:
    """Returns a load as a page shows it."""
    arguments = msgspec.json.decode(job.arguments, type=LoadArguments)
    result = LoadResult() if job.result is None else msgspec.json.decode(job.result, type=LoadResult)
    return Load(job, arguments.options, result, result.fetched_bytes or arguments.content_bytes)


def _facts(detected: Detected, asked: FileOptions) -> list[tuple[str, str]]:
    facts = [
        (shown, _text(getattr(detected, name)))
        for name, shown in _NAMES.items()
        if getattr(detected, name) is not None
    ]
    if asked.null_markers:
        facts.append(("Words for missing values", ", ".join(map(repr, asked.null_markers))))
    return facts


def _text(value: object) -> str:
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return _INVISIBLE.get(text, text)
