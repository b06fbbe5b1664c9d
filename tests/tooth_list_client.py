"""The lines that what the client promises rests on, each with the tests that must fail without it."""

from typing import NamedTuple

CLIENT = "src/rowkeep/client"
CLIENT_FILES = "src/rowkeep/client/files"


class Tooth(NamedTuple):
    """What is taken out, and where it should hurt."""

    name: str
    file: str
    before: str
    after: str
    tests: str


CLIENT_TEETH = (
    Tooth(
        "an answer counts only for its own request",
        f"{CLIENT}/connection.py",
        'if answer.headers.get("x-request-id") != request_id:',
        "if False:",
        "tests/e2e/test_faulty_network.py",
    ),
    Tooth(
        "a key for every attempt",
        f"{CLIENT}/retrying.py",
        '{"Idempotency-Key": key}',
        "{}",
        "tests/e2e/test_faulty_network.py",
    ),
    Tooth(
        "lines are joined only if each is one object",
        f"{CLIENT_FILES}/ndjson.py",
        "if row_count != line_count:",
        "if False:",
        "tests/unit/test_insert_files.py",
    ),
    Tooth(
        "where a batch ends for want of more is known before it is sent",
        f"{CLIENT_FILES}/checkpoint.py",
        "self._unsent.add(key)\n                self._write()",
        "self._unsent.add(key)",
        "tests/crash/test_kill_insert.py",
    ),
    Tooth(
        "fsync of what the client remembers",
        f"{CLIENT_FILES}/checkpoint.py",
        "        os.fsync(file)\n",
        "",
        "tests/crash/test_client_power_loss.py",
    ),
    Tooth(
        "directory sync after the client's rename",
        f"{CLIENT_FILES}/checkpoint.py",
        "        sync_folder(self._path.parent)\n",
        "",
        "tests/crash/test_client_power_loss.py",
    ),
    Tooth(
        "fsync of rows that the client set aside",
        f"{CLIENT}/quarantine.py",
        "            if self._is_file:\n                os.fsync(self._descriptor)\n",
        "",
        "tests/crash/test_client_power_loss.py",
    ),
    Tooth(
        "directory sync of a new file for rows set aside",
        f"{CLIENT}/quarantine.py",
        "        sync_folder(path.parent)",
        "        pass",
        "tests/crash/test_client_power_loss.py",
    ),
)
