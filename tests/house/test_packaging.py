"""What is installed is what was locked, and a package says under which licence it is."""

import hashlib
import re
import tomllib
from pathlib import Path

import pytest

from tests.house.sources import ROOT

REQUIREMENTS = ROOT / "requirements"
LOCKS = sorted(REQUIREMENTS.rglob("*.txt"))
# The text at https://www.apache.org/licenses/LICENSE-2.0.txt, unchanged.
APACHE_2_SHA256 = "cfc7749b96f63bd31c3c42b5c471bf756814053e847c10f3eb003417bc523d30"

_pins = re.compile(r"^([A-Za-z0-9._-]+)==[^\s;]+([^\n]*\\\n(?:    --hash=[^\n]+\n)+)?", re.MULTILINE).findall
_hash = re.compile(r"    --hash=sha256:[0-9a-f]{64}( \\)?").fullmatch


def normal(name: str) -> str:
    """A package's name as all its spellings are compared."""
    return re.sub(r"[-_.]+", "-", name).lower()


def pinned(file: Path) -> set[str]:
    """The packages that a lock file pins."""
    return {normal(name) for name, _ in _pins(file.read_text(encoding="utf-8"))}


def versions(file: Path) -> set[str]:
    """What a lock file pins, as `name==version`."""
    return set(re.findall(r"^[^\s#]+==[^\s;]+", file.read_text(encoding="utf-8"), re.MULTILINE))


def project() -> dict[str, object]:
    """The table [project] of pyproject.toml."""
    table: dict[str, object] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return table


@pytest.mark.parametrize("file", LOCKS, ids=lambda file: file.name)
def test_every_pin_has_its_hashes(file: Path) -> None:
    """A lock file is nothing but comments, pinned versions and the hashes of their files."""
    text = file.read_text(encoding="utf-8")
    pins = _pins(text)
    assert pins
    assert [name for name, hashes in pins if not hashes] == []
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    assert [line for line in lines if line.startswith(" ") and not _hash(line)] == []
    assert len([line for line in lines if not line.startswith(" ")]) == len(pins)


def test_lock_files_hold_what_is_asked_for() -> None:
    """What pyproject.toml and the `.in` files name is locked; the lock of the tests holds the server's."""
    table = project()
    extras = table["optional-dependencies"]
    assert isinstance(extras, dict)
    for asked, lock in (
        (table["dependencies"], "runtime.txt"),
        (extras["test"], "test.txt"),
        *(
            (file.read_text("utf-8").splitlines(), file.with_suffix(".txt"))
            for file in REQUIREMENTS.rglob("*.in")
        ),
    ):
        assert isinstance(asked, list)
        names = {normal(re.split(r"[<>=\[;# ]", line)[0]) for line in asked if not line.startswith("#")}
        assert names <= pinned(REQUIREMENTS / lock), lock
    assert versions(REQUIREMENTS / "runtime.txt") <= versions(REQUIREMENTS / "test.txt")


def test_scripts_install_by_hash_alone() -> None:
    """Every installation from a lock file, in the scripts and in what users paste, refuses other files."""
    files = [file for file in (ROOT / "scripts").iterdir() if file.is_file()]
    for file in [*files, *(ROOT / "docs").glob("*.md"), *ROOT.glob("Containerfile")]:
        for line in file.read_text(encoding="utf-8").replace("\\\n", " ").splitlines():
            if re.search(r"(-r|--requirement) \S*(requirements|pins)", line):
                assert "--require-hashes" in line, f"{file.name}: {line}"


def test_the_licence_is_told() -> None:
    """LICENSE is the Apache License 2.0 to the letter, and the package's metadata names it and brings it."""
    assert hashlib.sha256((ROOT / "LICENSE").read_bytes()).hexdigest() == APACHE_2_SHA256
    table = project()
    assert (table["license"], table["license-files"]) == ("Apache-2.0", ["LICENSE"])
