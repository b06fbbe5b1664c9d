"""Data directories that earlier versions made, kept as archives: what upgrades are tested on.

`scripts/keep-directory COMMIT` takes rowkeep as it was at a commit, has its own server make a data directory
over HTTP, and keeps that as `tests/directories/schema-NN.tar.gz`. The libraries are those of today.
"""

import argparse
import io
import json
import os
import re
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path
from typing import Any

from tests import plain_http

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "tests" / "directories"
DATASET = "ada.survey"
TABLE = f"{DATASET}:next.answers"
SEALING_SCHEMA = 2  # the first with segments
SEAL_SECONDS_MAX = 60
SCHEMA = [
    {"name": "site", "type": "string"},
    {"name": "count", "type": "integer"},
    {"name": "temperature", "type": "float"},
    {"name": "valid", "type": "boolean"},
    {"name": "day", "type": "date"},
    {"name": "measured_at", "type": "dateTime"},
    {"name": "local_time", "type": "time"},
]
# What a stream gets before its version is released, and another stream in the version after that.
RELEASED: list[dict[str, Any]] = [
    {
        "site": f"site {number}",
        "count": number,
        "temperature": number / 4,
        "valid": number % 2 == 0,
        "day": "2026-01-31",
        "measured_at": "2026-01-31T12:00:00.000",
        "local_time": "12:00:00",
    }
    for number in range(20)
]
ADDED: list[dict[str, Any]] = [{"site": "né 😀", "count": 2**53}, {"site": None, "count": -1}]
KEY = "the-first-request"

_listening = re.compile(r"rowkeep: listening on (http://\S+)").match


def archive_of(number: int) -> Path:
    """Where the directory of a schema is kept."""
    return FOLDER / f"schema-{number:02}.tar.gz"


def kept_numbers() -> list[int]:
    """The schemas of which a directory is kept."""
    return sorted(int(file.name[7:9]) for file in FOLDER.glob("schema-*.tar.gz"))


def unpack(number: int, folder: Path) -> tuple[Path, str]:
    """Lays a kept directory into a folder. Returns it, and a token that is good in it."""
    with tarfile.open(archive_of(number)) as archive:
        archive.extractall(folder, filter="data")
    return folder / "data", (folder / "token").read_text(encoding="utf-8")


def keep(commit: str) -> Path:
    """Has rowkeep as it was at a commit make a data directory, and keeps it. Returns the archive."""
    with tempfile.TemporaryDirectory(prefix="rowkeep-kept-") as name:
        work = Path(name)
        tree = subprocess.run(["git", "archive", commit, "src"], cwd=ROOT, stdout=subprocess.PIPE, check=True)
        with tarfile.open(fileobj=io.BytesIO(tree.stdout)) as source:
            source.extractall(work, filter="data")
        number = max(int(file.name[:4]) for file in (work / "src").rglob("migrations/[0-9]*.sql"))
        token = _filled(work, seals=number >= SEALING_SCHEMA)
        (work / "token").write_text(token, encoding="utf-8")
        FOLDER.mkdir(exist_ok=True)
        with tarfile.open(archive_of(number), "w:gz") as archive:
            for part in ("data", "token"):
                archive.add(work / part, part, filter=_nobodys)
    return archive_of(number)


def _nobodys(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member


def _filled(work: Path, *, seals: bool) -> str:
    """Runs the commands and the server in `work`, and inserts rows. Returns the token."""
    environment = {**os.environ, "PYTHONPATH": str(work / "src"), "ROWKEEP_DATA_DIR": str(work / "data")}
    rowkeep = [sys.executable, "-m", "rowkeep"]

    def command(*arguments: str) -> str:
        done = subprocess.run([*rowkeep, *arguments], env=environment, stdout=subprocess.PIPE, check=True)
        return done.stdout.decode().strip()

    command("user", "create", "ada")
    command("organization", "create", "lab", "--admin", "ada")
    token = command("token", "create", "--user", "ada")
    server = subprocess.Popen(
        [*rowkeep, "serve", "--port", "0"], env=environment, stdout=subprocess.PIPE, text=True
    )
    try:
        assert server.stdout is not None
        found = _listening(server.stdout.readline())
        assert found is not None
        _insert(found[1], token)
        deadline = time.monotonic() + SEAL_SECONDS_MAX
        while seals and not list((work / "data" / "segments").glob("*.parquet")):
            assert time.monotonic() < deadline, "nothing was sealed"
            time.sleep(0.1)
    finally:
        server.terminate()
        server.wait()
    return token


def _insert(url: str, token: str) -> None:
    with plain_http.client(headers={"Authorization": f"Bearer {token}"}) as client:

        def send(path: str, body: object, **headers: str) -> None:
            content = json.dumps(body)
            headers |= {"Content-Type": "application/json"}
            response = client.post(f"{url}{path}", content=content, headers=headers)
            assert response.status_code < 300, f"{path}: {response.text}"

        send("/users/ada/datasets", {"name": "survey", "publicAccessLevel": "none"})
        send(f"/datasets/{DATASET}/tables", {"name": "answers"})
        send(f"/tables/{TABLE}/uploads", {"name": "first", "type": "stream", "schema": SCHEMA})
        first = f"/tables/{TABLE}/uploads/first/rows"
        send(first, {"rows": RELEASED[:10]}, **{"Idempotency-Key": KEY})
        send(first, {"rows": RELEASED[10:]})
        send(f"/datasets/{DATASET}/versions/next/release", {})
        send(f"/datasets/{DATASET}/versions", {})
        send(f"/tables/{TABLE}/uploads", {"name": "second", "type": "stream", "schema": SCHEMA})
        send(f"/tables/{TABLE}/uploads/second/rows", {"rows": ADDED})


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("commit", help="the last one with the schema that is to be kept")
    sys.stdout.write(f"{keep(parser.parse_args().commit)}\n")
