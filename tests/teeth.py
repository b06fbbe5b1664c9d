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
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
STORAGE = "src/rowkeep/storage"
_failed = re.compile(r"^(?:FAILED|ERROR) (\S+)", re.MULTILINE).search


class Tooth(NamedTuple):
    """What is taken out, and where it should hurt."""

    name: str
    file: str
    before: str
    after: str
    tests: str


TEETH = (
    Tooth(
        "fsync of the WAL at COMMIT",
        f"{STORAGE}/sqlite.py",
        "PRAGMA journal_mode = WAL;\nPRAGMA synchronous = FULL;",
        "PRAGMA journal_mode = WAL;\nPRAGMA synchronous = NORMAL;",
        "tests/crash/test_power_loss.py",
    ),
    Tooth(
        "directory sync when a new file becomes a WAL database",
        f"{STORAGE}/sqlite.py",
        "PRAGMA synchronous = EXTRA;\n",
        "",
        "tests/crash/test_power_loss.py",
    ),
    Tooth(
        "commit of a transaction",
        f"{STORAGE}/sqlite.py",
        'raw.execute("COMMIT")\n            except',
        'raw.execute("ROLLBACK")\n            except',
        "tests/contract",
    ),
    Tooth(
        "rollback of a transaction that failed",
        f"{STORAGE}/sqlite.py",
        'raw.execute("ROLLBACK")',
        'raw.execute("COMMIT")',
        "tests/contract",
    ),
    Tooth(
        "one snapshot for one read",
        f"{STORAGE}/sqlite.py",
        'connection.raw.execute("BEGIN")\n            try:\n                yield connection\n            '
        'finally:\n                connection.raw.execute("COMMIT")',
        "yield connection",
        "tests/contract",
    ),
    Tooth(
        "checksum of an entry, when it is read",
        f"{STORAGE}/journal.py",
        "if _checksum(facts, entry.payload) != entry.checksum:",
        "if False:",
        "tests/contract",
    ),
    Tooth(
        "what is said of a payload in its checksum",
        f"{STORAGE}/journal.py",
        'zlib.crc32(payload, zlib.crc32(b"%d,%d,%d,%d,%d" % tuple(facts)))',
        "zlib.crc32(payload)",
        "tests/contract",
    ),
    Tooth(
        "the catalog version in the transaction of the rows",
        f"{STORAGE}/sql/sqlite/journal.sql",
        "WHERE (SELECT version FROM catalog_state) = :catalog_version;",
        "WHERE :catalog_version > 0;",
        "tests/contract",
    ),
    Tooth(
        "the receipt in the transaction of the rows",
        f"{STORAGE}/journal.py",
        "if receipts:\n",
        "if not receipts:\n",
        "tests/contract",
    ),
    Tooth(
        "nothing is written after a failure",
        f"{STORAGE}/lane.py",
        "if isinstance(error, StorageFailedError) and self._failure is None:",
        "if False:",
        "tests/crash/test_disk_faults.py",
    ),
    Tooth(
        "the answer only after the commit",
        f"{STORAGE}/lane.py",
        "outcomes = self._journal.commit_group(self._database, batches)",
        "outcomes = [Receipt(batch.row_count, batch.change) for batch in batches]\n"
        "            self._loop.call_soon_threadsafe(self._settle, group, outcomes, size)\n"
        "            return self._journal.commit_group(self._database, batches) and None",
        "tests/contract/test_lane.py tests/crash/test_disk_faults.py",
    ),
    Tooth(
        "fsync of a backup's files",
        f"{STORAGE}/backup.py",
        "            sync_file(file)\n",
        "            pass\n",
        "tests/crash/test_backup.py",
    ),
    Tooth(
        "directory sync of a backup",
        f"{STORAGE}/backup.py",
        "    sync_directory(unfinished)\n",
        "",
        "tests/crash/test_backup.py",
    ),
    Tooth(
        "directory sync after a backup's rename",
        f"{STORAGE}/backup.py",
        "    sync_directory(destination.parent)\n",
        "",
        "tests/crash/test_backup.py",
    ),
    Tooth(
        "reading a backup back before it is restored",
        f"{STORAGE}/backup.py",
        "if report.problems:",
        "if False:",
        "tests/e2e/test_verify.py",
    ),
    Tooth(
        "counting rows in verify",
        f"{STORAGE}/verification.py",
        'if (row_count, byte_count) == (counters["row_count"], counters["byte_count"]):',
        "if True:",
        "tests/e2e/test_verify.py",
    ),
    Tooth(
        "gaps between entries in verify",
        f"{STORAGE}/verification.py",
        "if entry.first_row != row_count:",
        "if False:",
        "tests/e2e/test_verify.py",
    ),
)


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
    done = subprocess.run(
        [sys.executable, *options],
        cwd=tree,
        env={"PYTHONPATH": str(tree / "src"), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    shutil.rmtree(tree)
    match = _failed(done.stdout)
    return match[1] if done.returncode and match else None


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
