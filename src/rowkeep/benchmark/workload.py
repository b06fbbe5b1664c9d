"""What the benchmark sends: rows with one variable of each type, about 210 bytes each."""

import json
from collections.abc import Iterator

SCHEMA = (
    ("site", "string"),
    ("count", "integer"),
    ("temperature", "float"),
    ("valid", "boolean"),
    ("day", "date"),
    ("measured_at", "dateTime"),
    ("local_time", "time"),
    ("position", "geography"),
)
BODIES = 50


def row(number: int) -> dict[str, object]:
    """One row; rows differ in every variable, positions repeat only after ten thousand."""
    return {
        "site": f"station-{number % 50}",
        "count": number,
        "temperature": 20.5 + number % 1000 / 7,
        "valid": number % 2 == 0,
        "day": f"2026-01-{number % 28 + 1:02d}",
        "measured_at": f"2026-01-01T12:{number % 60:02d}:{number // 60 % 60:02d}.{number % 1000000:06d}",
        "local_time": f"12:{number % 60:02d}:00",
        "position": f"POINT({10 + number % 10000 / 1000:.4f} {50 + number % 9973 / 1000:.4f})",
    }


def bodies(rows_per_request: int) -> Iterator[bytes]:
    """Some request bodies, all different, to be sent in turn."""
    for index in range(BODIES if rows_per_request <= 100 else 10):
        start = index * rows_per_request
        rows = [row(number) for number in range(start, start + rows_per_request)]
        yield json.dumps({"rows": rows}).encode()
