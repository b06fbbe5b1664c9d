"""`python -m tests.corpus FOLDER` writes the files of the corpus, each beside what must come of it."""

import sys
from pathlib import Path

from tests.corpus.all_cases import CASES


def main(folder: Path) -> None:
    """Writes a folder for each case, with the file, how it is read and what must come of it."""
    for case in CASES:
        place = folder / case.name.partition("/")[0]
        place.mkdir(parents=True, exist_ok=True)
        (place / case.file_name).write_bytes(case.bytes())
        text = f"options: {dict(case.options)}\nexpected: {case.expected}\n"
        (place / "expected.txt").write_text(text[:10_000], encoding="utf-8")
    sys.stdout.write(f"{len(CASES)} files in {folder}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
