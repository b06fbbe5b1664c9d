"""Takes out, one at a time, each line that durability rests on, and shows that the tests turn red.

Run by `scripts/teeth`. A tooth is a change to a copy of the tree and the tests that must fail on it; one
that nobody notices makes the run fail.
"""

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.tooth_list import TEETH, Tooth

ROOT = Path(__file__).parents[1]
# A change that makes the tests wait for ever is a bad change, and does not count as noticed.
TEST_SECONDS_MAX = 600
_failed = re.compile(r"^(?:FAILED|ERROR) (\S+)", re.MULTILINE).search


def caught_by(tooth: Tooth, folder: Path) -> str | None:
    """The first test that fails without this line; None when none does."""
    tree = folder / "tree"
    for name in ("src", "tests"):
        shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tree)
    file = tree / tooth.file
    text = file.read_text(encoding="utf-8")
    if text.count(tooth.before) != 1:
        raise SystemExit(f"{tooth.name}: {tooth.file} does not hold {tooth.before!r} once")
    file.write_text(text.replace(tooth.before, tooth.after), encoding="utf-8")
    options = ["-m", "pytest", "-q", "-x", "-m", "not long", "-p", "no:cacheprovider", *tooth.tests.split()]
    printed = _printed_by([sys.executable, *options], tree)
    shutil.rmtree(tree)
    match = _failed(printed)
    return match[1] if match else None


def _printed_by(command: list[str], tree: Path) -> str:
    """What tests print; nothing when they do not end."""
    environment = {"PYTHONPATH": str(tree / "src"), "PATH": "/usr/bin:/bin"}
    try:
        done = subprocess.run(
            command,
            cwd=tree,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=TEST_SECONDS_MAX,
        )
    except subprocess.TimeoutExpired:
        return ""
    return done.stdout


def main() -> None:
    """Tries every tooth and prints what caught it."""
    unnoticed = 0
    with tempfile.TemporaryDirectory() as folder:
        for tooth in TEETH:
            test = caught_by(tooth, Path(folder))
            unnoticed += test is None
            sys.stdout.write(f"{tooth.name}: {test or 'NOBODY NOTICED'}\n")
            sys.stdout.flush()
    sys.exit(min(unnoticed, 1))


if __name__ == "__main__":
    main()
