"""Prints what coverage found, a line for each file and room; fails when a room's branches are too few.

Run by `scripts/coverage` with the JSON report of `coverage`. What counts is branches: of all ways that a
decision can go, those that some test went. The other figure takes lines and branches together.
"""

import json
import sys
from pathlib import Path
from typing import Any

PERCENT_MIN = 95.0
ROOMS = ("storage", "services")
COUNTS = ("covered_branches", "num_branches", "covered_lines", "num_statements")


def row(name: str, counts: dict[str, int], untaken: str = "") -> str:
    """One line of the report."""
    branches = f"{counts['covered_branches']}/{counts['num_branches']}"
    both = percent(
        counts["covered_branches"] + counts["covered_lines"],
        counts["num_branches"] + counts["num_statements"],
    )
    branch = percent(counts["covered_branches"], counts["num_branches"])
    return f"{name:<36} {branches:>9} {branch:>7.1f} {both:>7.1f}  {untaken}".rstrip()


def percent(part: int, whole: int) -> float:
    """A share; of nothing, nothing is missing."""
    return 100.0 * part / whole if whole else 100.0


def total(files: list[dict[str, Any]]) -> dict[str, int]:
    """The counts of several files."""
    return {name: sum(file["summary"][name] for file in files) for name in COUNTS}


def untaken(file: dict[str, Any]) -> str:
    """The branches that no test took, as line->line; below 0 is out of the function."""
    return " ".join(f"{start}->{'exit' if end < 0 else end}" for start, end in file["missing_branches"])


def say(line: str) -> None:
    """Prints a line."""
    sys.stdout.write(line + "\n")


def report(path: Path) -> int:
    """Prints the table; 1 when a room is below the bound."""
    files: dict[str, dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["files"]
    say(f"{'':<36} {'branches':>9} {'%':>7} {'& lines':>7}  not taken")
    failed = False
    for room in ROOMS:
        found = {name: file for name, file in files.items() if f"/{room}/" in name}
        for name, file in sorted(found.items()):
            if file["summary"]["num_statements"]:
                say(row(f"{room}/{Path(name).name}", file["summary"], untaken(file)))
        counts = total(list(found.values()))
        say(row(f"{room}/", counts) + "\n")
        failed |= percent(counts["covered_branches"], counts["num_branches"]) < PERCENT_MIN
    say(row("all", total(list(files.values()))))
    if failed:
        say(f"A room has less than {PERCENT_MIN:.0f} % of its branches.")
    return int(failed)


if __name__ == "__main__":
    sys.exit(report(Path(sys.argv[1])))
