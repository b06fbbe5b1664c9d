"""The guide to receipts, pasted: its commands print what stands below them, its program the same digests."""

import datetime
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from rowkeep.model.chain import canonical_text
from rowkeep.model.decoding.strict import row_decoder
from rowkeep.model.schema import Schema, Variable
from rowkeep.model.types import VariableType
from tests.e2e.test_demo import README_ORIGIN, announce, folder, paste
from tests.guides import blocks_of
from tests.house.sources import ROOT
from tests.server_process import ServerProcess

__all__ = ["folder"]  # a fixture, shared with the demo

GUIDE = (ROOT / "docs" / "guide-receipts.md").read_text(encoding="utf-8")
BLOCKS = blocks_of(GUIDE)
(PROGRAM,) = [text for language, text in BLOCKS if language == "python"]
TYPES = {f"v_{type_.value}": type_ for type_ in VariableType}
TEXTS = some.text(some.characters(exclude_categories=["Cs"]))
VALUES: dict[str, some.SearchStrategy[Any]] = {
    "string": TEXTS,
    "integer": some.integers(-(2**63), 2**63 - 1),
    "float": some.floats(allow_nan=False, allow_infinity=False)
    | some.integers(-20, 30).map(lambda e: 10.0**e),
    "boolean": some.booleans(),
    "date": some.dates().map(datetime.date.isoformat),
    "dateTime": some.datetimes().map(datetime.datetime.isoformat),
    "time": some.times().map(datetime.time.isoformat),
    "geography": TEXTS,
}
ROWS = some.lists(
    some.fixed_dictionaries(
        {}, optional={name: some.none() | VALUES[type_.value] for name, type_ in TYPES.items()}
    )
)


def test_commands_work_as_pasted(own_server: ServerProcess, folder: Path) -> None:
    """All commands of the guide, in one shell and in order, print what stands below them, the times aside."""
    if shutil.which("curl") is None:
        pytest.skip("needs curl")
    announce(own_server, folder)
    script = "".join(text for language, text in BLOCKS if language == "sh")
    printed = "".join(text for language, text in BLOCKS if not language)
    assert script.count("curl ") >= 12
    origin = own_server.url.removesuffix("/api/v1")
    script = re.sub(r"^(curl .*)$", r"\1; echo", script.replace(README_ORIGIN, origin), flags=re.MULTILINE)
    output = paste(["bash", "-euc", script], folder)
    found = [without_what_varies(line) for line in output.splitlines() if line]
    assert found == [without_what_varies(line) for line in printed.splitlines()]


def without_what_varies(line: str) -> str:
    """A line without times and without the reference ids of what was created."""
    line = re.sub(r'"(time|undoneAt)":\d+', r'"\1":0', line)
    return re.sub(r":\w{4}(?=[:/.])", ":id", line)


def test_the_program_checks_the_receipts() -> None:
    """It prints the digests and chains of the receipts in the guide."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        env={**os.environ},
    )
    receipts = [json.loads(line) for line in receipts_of_the_guide()]
    expected = [f"{name} {receipt[name]}" for receipt in receipts for name in ("sha256", "chain")]
    assert len(expected) == 4
    assert done.stdout.split("\n")[:-1] == expected


def receipts_of_the_guide() -> list[str]:
    """The answers to the first two inserts."""
    printed = "".join(text for language, text in BLOCKS if not language)
    return [line for line in printed.splitlines() if line.startswith('{"kind":"insertRowsResponse"')]


@given(ROWS)
def test_the_program_writes_what_the_server_does(rows: list[dict[str, Any]]) -> None:
    """Rows of all types, whatever they hold, are the same text to the byte."""
    names: dict[str, Any] = {}
    exec(PROGRAM, names)  # it is the guide's, and the point is to run it
    schema = Schema(1, tuple(Variable(name, type_) for name, type_ in TYPES.items()))
    decoded = row_decoder(schema).read(json.dumps({"rows": rows}).encode())
    types = {name: type_.value for name, type_ in TYPES.items()}
    assert names["canonical"](rows, types) == canonical_text(decoded)
