"""Rows from before a variable was widened read as every other reader reads them, wherever they lie."""

import asyncio
from pathlib import Path

import pytest

from tests.sql.small_engine import StoredEngine
from tests.unit.read_world import Rows, World

TYPES = ("integer", "float", "boolean", "date", "dateTime", "time", "geography")
SCHEMA = [{"name": type_, "type": type_} for type_ in TYPES]
ROWS: Rows = [
    {
        "integer": 7,
        "float": 1.0,
        "boolean": True,
        "date": "0001-01-01",
        "dateTime": "0999-12-31T23:59:59.5",
        "time": "01:02:03",
        "geography": "POINT(1 2)",
    },
    {
        "integer": -(2**63),
        "float": 1e16,
        "boolean": False,
        "date": "9999-12-31",
        "dateTime": "2024-01-01T00:00:00",
        "time": "23:59:59.000001",
        "geography": "LINESTRING(0 0, 1 1)",
    },
    {"float": 1e-7},
    {"float": 123456789.125},
    {},
]


@pytest.mark.parametrize("place", ["journal", "segments", "both"])
def test_every_type_as_text(tmp_path: Path, place: str) -> None:
    """All types become strings: queries show the texts that listRows shows."""
    with asyncio.Runner() as runner:
        world = World(tmp_path / "data", runner)
        world.create("u", SCHEMA)
        world.insert("u", ROWS)
        if place != "journal":
            world.seal()
        world.insert("u", [dict.fromkeys(TYPES, "x")], updateSchema=True)
        if place == "segments":
            world.seal()
        listed = world.listed().to_pylist()
        engine = StoredEngine(world, tmp_path)
        names = ", ".join(f"`{type_}`" for type_ in TYPES)
        rows = engine.run(f"SELECT {names} FROM t", variables=engine.table.schema.variables)
        assert rows == [[row[type_] for type_ in TYPES] for row in listed]
        assert rows[1][0] == str(-(2**63))
        world.close()


def test_numbers_and_days(tmp_path: Path) -> None:
    """An integer becomes a float, a date a dateTime; a later variable is null before."""
    with asyncio.Runner() as runner:
        world = World(tmp_path / "data", runner)
        world.create("u", [{"name": "n", "type": "integer"}, {"name": "d", "type": "date"}])
        world.insert("u", [{"n": 1, "d": "2024-01-31"}])
        world.seal()
        world.insert("u", [{"n": 1.5, "d": "2024-01-31T10:00:00", "new": "x"}], updateSchema=True)
        engine = StoredEngine(world, tmp_path)
        rows = engine.run("SELECT n, d, new FROM t ORDER BY n", variables=engine.table.schema.variables)
        assert rows == [[1.0, "2024-01-31 00:00:00", None], [1.5, "2024-01-31 10:00:00", "x"]]
        world.close()
