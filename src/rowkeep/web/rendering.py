"""Pages from templates. Every value is escaped; no template may say otherwise."""

from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

import msgspec
from jinja2 import Environment, FileSystemLoader, StrictUndefined

_FOLDER = Path(__file__).parent / "templates"


def _when(epoch_ms: int | None) -> str:
    """Returns a time in UTC as people read it."""
    if epoch_ms is None:
        return ""
    return datetime.fromtimestamp(epoch_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _size(byte_count: int) -> str:
    """Returns a size as people read it."""
    size = float(byte_count)
    for unit in ("bytes", "KB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def _number(value: int) -> str:
    """Returns a count with its digits in groups."""
    return f"{value:,}"


def _segment(text: str) -> str:
    """Returns a reference as one segment of a path."""
    return quote(text, safe=":.")


def _json(value: object) -> str:
    """Returns a value as JSON."""
    return msgspec.json.encode(value).decode()


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_FOLDER), autoescape=True, undefined=StrictUndefined, auto_reload=False
    )
    environment.filters.update(when=_when, size=_size, number=_number, segment=_segment, tojson_text=_json)
    return environment


_templates = _environment()


def render(template: str, **values: object) -> str:
    """Returns a page."""
    return _templates.get_template(template).render(**values)
