"""Drives what one version of the Python client does with the files of a file index table; tells what it saw.

Run by tests/e2e/test_raw_file_clients.py. On stdin comes a JSON object: `owner` and `dataset`, a data set
that is not released, `source`, a folder of files, and `target`, a folder to download to. It prints a line
`facts: {"section":, "facts":}`.
"""

import json
import sys
from pathlib import Path
from typing import Any

import redivis


def folder_of(path: Path) -> dict[str, str]:
    """The files below a folder, by their paths in it."""
    return {
        str(file.relative_to(path)): file.read_text() for file in sorted(path.rglob("*")) if file.is_file()
    }


def with_directories(table: Any, target: Path) -> dict[str, Any]:
    """What versions do that have directories."""
    table.to_directory().download(str(target / "all"), progress=False)
    again = table.to_directory()
    file = table.file("deep/b.txt")
    return {
        "names": sorted(str(found.path) for found in again.list(mode="files", recursive=True)),
        "all": folder_of(target / "all"),
        "part": file.read(as_text=True, start_byte=1, end_byte=2),
        "opened": file.open("rb").read().decode(),
    }


def with_lists(table: Any, target: Path) -> dict[str, Any]:
    """What versions do that know files by the rows of the table alone."""
    files = table.list_files()
    table.download_files(str(target / "all"), progress=False) if hasattr(table, "download_files") else None
    return {
        "names": sorted(file.get().properties["name"] for file in files),
        "read": sorted(file.read(as_text=True) for file in files),
    }


def main() -> None:
    """Adds a folder and two files by hand, and fetches all of them."""
    given = json.load(sys.stdin)
    dataset = redivis.user(given["owner"]).dataset(given["dataset"], version="next")
    table = dataset.table(f"files {redivis.__version__}" if hasattr(redivis, "__version__") else "files")
    table.create(is_file_index=True)
    table.add_files(directory=given["source"], progress=False)
    table.add_files(files=[{"name": "by hand.txt", "data": "text by hand"}], progress=False)
    does = with_directories if hasattr(table, "to_directory") else with_lists
    facts = does(table, Path(given["target"]))
    facts["rows"] = table.get().properties["numRows"]
    sys.stdout.write(f"\nfacts: {json.dumps({'section': 'files', 'facts': facts})}\n")


if __name__ == "__main__":
    main()
