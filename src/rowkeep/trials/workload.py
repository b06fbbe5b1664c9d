"""The rows that the benchmark sends: one variable of each type, 195 to 215 bytes each.

The rows of a run are all different, and drawn at random (the same in every run): a server that compresses
what it keeps must not find one row again in the next.
"""

import json
import random
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
# 4 MB: far more than a compressor looks back over.
ROWS = 20_000
SEED = 8


def row(number: int, chance: random.Random) -> dict[str, object]:
    """Returns one row, numbered by its count."""
    second = chance.randrange(86_400)
    time = f"{second // 3600:02d}:{second // 60 % 60:02d}:{second % 60:02d}"
    day = f"2026-{chance.randint(1, 12):02d}-{chance.randint(1, 28):02d}"
    return {
        "site": f"station-{chance.randrange(50)}",
        "count": number,
        "temperature": 20.5 + chance.randrange(1000) / 7,
        "valid": chance.random() < 0.5,
        "day": day,
        "measured_at": f"{day}T{time}.{chance.randrange(1_000_000):06d}",
        "local_time": time,
        "position": f"POINT({chance.uniform(10, 20):.4f} {chance.uniform(50, 60):.4f})",
    }


def bodies(rows_per_request: int) -> Iterator[bytes]:
    """Yields request bodies, all different, to be sent in turn."""
    chance = random.Random(SEED)
    for start in range(0, max(ROWS, rows_per_request), rows_per_request):
        rows = [row(number, chance) for number in range(start, start + rows_per_request)]
        yield json.dumps({"rows": rows}).encode()
