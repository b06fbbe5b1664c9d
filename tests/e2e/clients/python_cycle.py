"""Drives one version of the Python client through its whole cycle and tells what it saw.

Run by tests/e2e/test_python_clients.py with the Python that has the client; of the project it imports only
its neighbours. On stdin comes a JSON object: `owner`, `organization`, `sections`, `schema`, `rows` (of all
types) and `readerToken` (which may read but not edit). For each section it prints a line `facts:
{"section":, "facts":}`; a fact that the version cannot give is null.
"""

import json
import sys

from python_access import anonymous, errors
from python_client import Cycle
from python_reading import reading
from python_resources import current, datasets, owners, tables, variables
from python_streams import stream, widening
from python_versions import released

SECTIONS = (
    *(current, datasets, owners, tables, stream, widening),
    *(variables, reading, released, errors, anonymous),
)


def main() -> None:
    """Runs the sections that were asked for, in order."""
    given = json.load(sys.stdin)
    wanted = given.pop("sections")
    cycle = Cycle(**given)
    for section in SECTIONS:
        if section.__name__ in wanted:
            line = json.dumps({"section": section.__name__, "facts": section(cycle)})
            sys.stdout.write(f"\nfacts: {line}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
