"""`rowkeep insert` and a server that has lost what the state file says was sent."""

import json
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from click.testing import CliRunner

from rowkeep.client.files.checkpoint import CUTS_MAX
from rowkeep.commands.insert import EXIT_REQUEST_REFUSED, EXIT_SERVER_DIFFERS, insert_command
from tests.command_line import rowkeep
from tests.server_process import ServerProcess

COUNT = [{"name": "count", "type": "integer"}]


class Place:
    """A stream by a fixed name, and the command."""

    def __init__(self, server: ServerProcess, folder: Path, dataset: str = "census") -> None:
        self.server = server
        self.dataset = dataset
        self.table = f"demo.{dataset}.people"
        self.file = folder / "rows.ndjson"
        headers = {"Authorization": f"Bearer {server.token}"}
        self.client = httpx.Client(base_url=server.url, headers=headers, timeout=60, trust_env=False)

    def create(self) -> None:
        """Makes the dataset with its table and stream."""
        self.post("/users/demo/datasets", name=self.dataset)
        self.post(f"/datasets/demo.{self.dataset}/tables", name="people")
        self.create_upload()

    def create_upload(self) -> None:
        """Makes the stream."""
        self.post(f"/tables/{self.table}/uploads", name="s", type="stream", schema=COUNT)

    def post(self, path: str, **body: Any) -> None:
        """Creates something that must be created."""
        response = self.client.post(path, json=body)
        assert response.status_code in (200, 201), response.text

    def version(self, action: str = "", **said: Any) -> None:
        """Does something to the next version; opens it when nothing is said."""
        self.post(f"/datasets/demo.{self.dataset}/versions{action}", **said)

    def append(self, *counts: int) -> None:
        """Puts rows to the end of the file."""
        with self.file.open("a") as file:
            file.writelines(f'{{"count": {count}}}\n' for count in counts)

    def insert(self, *options: str) -> tuple[int, str]:
        """Inserts the file; the exit status and all that was printed."""
        place = ["--url", self.server.url, "--token", self.server.token]
        done = CliRunner().invoke(insert_command, [*place, *options, self.table, "s", str(self.file)])
        return done.exit_code, done.output

    def counts(self, version: str = "next") -> list[int]:
        """What is in the table."""
        lines = self.client.get(f"/tables/demo.{self.dataset}:{version}.people/rows").text.splitlines()
        return [json.loads(line)["count"] for line in lines]

    def restart(self) -> None:
        """Starts the server again at its address."""
        self.server.start(urlsplit(self.server.url).port or 0)


@pytest.fixture
def place(own_server: ServerProcess, tmp_path: Path) -> Iterator[Place]:
    """A stream on a server of its own, and a file of which three runs have inserted two rows each."""
    with _place(own_server, tmp_path, "census") as made:
        yield made


@pytest.fixture
def shared_place(server: ServerProcess, tmp_path: Path) -> Iterator[Place]:
    """The same on the server that others use too."""
    with _place(server, tmp_path, f"census_{secrets.token_hex(4)}") as made:
        yield made


@contextmanager
def _place(server: ServerProcess, folder: Path, dataset: str) -> Iterator[Place]:
    made = Place(server, folder, dataset)
    made.create()
    for number in range(0, 6, 2):
        made.append(number, number + 1)
        assert made.insert()[0] == 0
    assert made.counts() == list(range(6))
    yield made
    made.client.close()


def test_an_upload_made_anew(place: Place) -> None:
    """Deleted and created again: all is sent, the reason is said, and another run has nothing to do."""
    place.client.delete(f"/tables/{place.table}/uploads/s")
    place.create_upload()
    place.append(6)
    status, said = place.insert()
    assert (status, "Upload s was deleted and created again" in said) == (0, True)
    assert "\n7 rows inserted, 0 refused" in said
    assert place.counts() == list(range(7))
    assert place.insert()[1].startswith("0 rows inserted")


@pytest.mark.parametrize("is_grown", [False, True])
def test_an_older_backup(place: Place, tmp_path: Path, is_grown: bool) -> None:
    """What the backup lacks is sent, and what it has stays once: the file is cut where it ended then."""
    rowkeep("backup", str(tmp_path / "copy"), data_dir=place.server.data_dir)
    for number in range(6, 10, 2):
        place.append(number, number + 1)
        assert place.insert()[0] == 0
    place.server.stop()
    shutil.rmtree(place.server.data_dir)
    rowkeep("restore", str(tmp_path / "copy"), data_dir=place.server.data_dir)
    place.restart()
    assert place.counts() == list(range(6))
    if is_grown:
        place.append(10)
    status, said = place.insert()
    assert (status, "an older backup was restored" in said) == (0, True)
    assert "(6 of them were in already)" in said
    assert place.counts() == list(range(11 if is_grown else 10))
    assert place.insert()[1].startswith("0 rows inserted")


def test_a_data_directory_made_anew(place: Place) -> None:
    """With the same names, and by chance the same ids."""
    place.server.stop()
    shutil.rmtree(place.server.data_dir)
    fresh = ServerProcess(place.server.data_dir)
    fresh.close()
    place.restart()
    place.create()
    status, said = place.insert()
    assert (status, "the data directory made anew" in said) == (0, True)
    assert place.counts() == list(range(6))


def test_where_nobody_can_know(place: Place, tmp_path: Path) -> None:
    """The places where the file was cut are forgotten: the run stops, and --restart sends all."""
    rowkeep("backup", str(tmp_path / "copy"), data_dir=place.server.data_dir)
    place.append(6)
    assert place.insert()[0] == 0
    place.server.stop()
    shutil.rmtree(place.server.data_dir)
    rowkeep("restore", str(tmp_path / "copy"), data_dir=place.server.data_dir)
    place.restart()
    state_file = Path(f"{place.file}.rowkeep-state")
    state = json.loads(state_file.read_text())
    assert [cut[1] for cut in state["cuts"]] == [28 - 14 + 14 * number for number in range(2)] or state[
        "cuts"
    ]
    state["cuts"], state["known_from"] = state["cuts"][1:], state["cuts"][0][1]
    state_file.write_text(json.dumps(state))
    status, said = place.insert()
    assert status == EXIT_SERVER_DIFFERS
    assert "Which of them are in cannot be known any more" in said
    assert place.counts() == list(range(6))
    assert place.insert("--restart")[0] == 0
    assert place.counts() == [*range(6), *range(7)]


def test_a_stream_opened_again_is_no_loss(shared_place: Place) -> None:
    """After a plain release the rows are in the version before: each run sends what is new, and no more."""
    place = shared_place
    place.version("/next/release")
    place.version()
    place.create_upload()
    status, said = place.insert()
    assert (status, "was released and goes on in the next version" in said) == (0, True)
    assert ("v1.0" in said, "backup" in said, "\n0 rows inserted" in said) == (True, False, True)
    assert place.insert()[1].startswith("0 rows inserted")  # nothing has happened since that run
    place.append(6)
    assert place.insert()[1].startswith("1 rows inserted")
    assert (place.counts("v1.0"), place.counts()) == (list(range(6)), list(range(7)))


def test_rows_of_a_deleted_version_are_sent_again(shared_place: Place) -> None:
    """What two releases hold stays once; what went with the deleted next version goes in again."""
    place = shared_place
    for number in (6, 7):
        place.version("/next/release", continueStreams=True)
        place.append(number)
        assert place.insert()[0] == 0
    deleted = place.client.delete(f"/datasets/demo.{place.dataset}/versions/next")
    assert deleted.status_code == 200, deleted.text
    place.version()
    place.create_upload()
    status, said = place.insert()
    assert (status, "deleted and created again" in said, "backup" in said) == (0, True, False), said
    assert "(7 of them were in already)" in said
    assert (place.counts("v1.1"), place.counts()) == (list(range(7)), list(range(8)))
    assert place.insert()[1].startswith("0 rows inserted")


def test_released_rows_that_cannot_be_told_apart(shared_place: Place) -> None:
    """Where the file was cut is forgotten, and versions hold some of its rows: the run stops."""
    place = shared_place
    place.version("/next/release", continueStreams=True)
    place.append(6)
    assert place.insert()[0] == 0
    place.client.delete(f"/tables/{place.table}/uploads/s")
    place.create_upload()
    state_file = Path(f"{place.file}.rowkeep-state")
    state_file.write_text(json.dumps({**json.loads(state_file.read_text()), "cuts": [], "known_from": 14}))
    status, said = place.insert()
    assert (status, "cannot be known any more" in said) == (EXIT_SERVER_DIFFERS, True)
    assert place.counts() == list(range(6))


def test_a_table_made_anew(shared_place: Place) -> None:
    """The next version lacks the rows of the table before it, so all of the file goes into the new one."""
    place = shared_place
    place.version("/next/release", continueStreams=True)
    place.client.delete(f"/tables/demo.{place.dataset}:next.people")
    place.post(f"/datasets/demo.{place.dataset}:next/tables", name="people")
    place.create_upload()
    status, said = place.insert()
    assert (status, "deleted and created again" in said) == (0, True)
    assert place.counts() == list(range(6))


def test_rows_that_were_taken_back_stay_away(place: Place) -> None:
    """Undoing the last request is no loss either."""
    state = json.loads(Path(f"{place.file}.rowkeep-state").read_text())
    undone = place.client.delete(f"/tables/{place.table}/uploads/s/requests/{state['last']['key']}")
    assert undone.status_code == 200, undone.text
    assert place.insert()[1].startswith("0 rows inserted")
    assert place.counts() == list(range(4))


def test_an_upload_that_is_gone(place: Place) -> None:
    """The server's answer is the message, and nothing is sent."""
    place.client.delete(f"/tables/{place.table}/uploads/s")
    status, said = place.insert()
    assert status == EXIT_REQUEST_REFUSED
    assert said.startswith("rowkeep: the server refused the request (404 not_found_error): ")


def test_a_state_of_an_earlier_version(place: Place) -> None:
    """It names no upload and no receipt: an empty upload shows the loss, any other is believed."""
    state_file = Path(f"{place.file}.rowkeep-state")
    state = json.loads(state_file.read_text())
    for name in ("upload", "last", "cuts", "known_from"):
        del state[name]
    state_file.write_text(json.dumps(state))
    assert place.insert()[1].startswith("0 rows inserted")
    place.client.delete(f"/tables/{place.table}/uploads/s")
    place.create_upload()
    state_file.write_text(json.dumps(state))
    assert place.insert()[0] == 0
    assert sorted(place.counts()) == list(range(6))


def test_the_state_stays_small(place: Place) -> None:
    """Cuts are remembered up to a bound."""
    state_file = Path(f"{place.file}.rowkeep-state")
    state = json.loads(state_file.read_text())
    state["cuts"] = [[0, 1]] * CUTS_MAX
    state_file.write_text(json.dumps(state))
    place.append(6)
    assert place.insert()[0] == 0
    state = json.loads(state_file.read_text())
    assert (len(state["cuts"]), state["known_from"]) == (CUTS_MAX, 1)
