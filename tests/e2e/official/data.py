"""Small stand-ins for the data files of the official client's tests, made from their names and their use."""

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

Json = dict[str, Any]

TINY_COLUMNS = ("id", "Numeric", "Key", "Timestamp", "Year", "Boolean", "Text")
# Above what clients send in one form, and above what they send whole.
LARGE_BYTES_MIN = 2 * 1024 * 1024
RESUMABLE_BYTES_MIN = 33 * 1024 * 1024


def write_data(folder: Path) -> None:
    """Writes all of them into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    _write_csv(folder / "tiny.csv", TINY_COLUMNS, _tiny_rows())
    _write_csv(folder / "line_breaks.csv", ("id", "text"), _broken_lines())
    _write_csv(folder / "concept_relationship.csv", ("concept_id_1", "concept_id_2", "name"), _many_rows())
    features = list(_features())
    (folder / "us_states.geojsonl").write_text("".join(f"{json.dumps(each)}\n" for each in features[:50]))
    with (folder / "us_counties_500k.geojson").open("w") as file:
        file.write('{"type": "FeatureCollection", "features": [\n')
        file.write(",\n".join(json.dumps(each) for each in features))
        file.write("\n]}")


def _write_csv(path: Path, header: tuple[str, ...], rows: Iterator[tuple[object, ...]]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)


def _tiny_rows() -> Iterator[tuple[object, ...]]:
    for number in range(1, 21):
        time = f"2020-01-{number:02} 12:00"
        yield number, number + 0.5, f"key{number % 3}", time, 2000 + number, number % 2 == 0, f"text {number}"


def _broken_lines() -> Iterator[tuple[object, ...]]:
    for number in range(60_000):
        yield number, f'first line of {number}\nsecond, with a comma\nand a "quote"'


def _many_rows() -> Iterator[tuple[object, ...]]:
    for number in range(LARGE_BYTES_MIN // 30):
        yield number, number * 7, f"relationship {number}"


def _features() -> Iterator[Json]:
    """Counties with as many corners as it takes for the file to be sent in pieces."""
    for number in range(3_000):
        corners = [[-100 + (number % 60) + step / 1e4, 30 + number / 100] for step in range(420)]
        top = [[corners[-1][0], 31 + number / 100], [corners[0][0], 31 + number / 100], corners[0]]
        geometry = {"type": "Polygon", "coordinates": [[*corners, *top]]}
        yield {"type": "Feature", "properties": {"GEOID": f"{number:05}"}, "geometry": geometry}
