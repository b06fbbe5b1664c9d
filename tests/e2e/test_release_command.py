"""`rowkeep release`: what it prints, and what it says when it is refused."""

from collections.abc import Iterator

import pytest

from tests.api.publishing import Publication
from tests.command_line import Done, run
from tests.server_process import ServerProcess


@pytest.fixture
def publication(server: ServerProcess) -> Iterator[Publication]:
    """An unreleased dataset with a row in the stream `live` of the table `answers`."""
    made = Publication(server)
    made.add_table("answers")
    made.add_upload("answers", "live", [{"a": 1}])
    yield made
    made.close()


def release(server: ServerProcess, *arguments: str, token: str | None = None) -> Done:
    """Runs the command."""
    return run("release", *arguments, ROWKEEP_URL=server.url, ROWKEEP_TOKEN=token or server.token)


def test_a_release_that_continues(server: ServerProcess, publication: Publication) -> None:
    """It prints the tag and the reference of the version; the streams are in the next one."""
    done = release(server, publication.reference, "--continue-streams", "--notes", "The first")
    assert (done.returncode, done.stderr) == (0, "")
    tag, reference = done.stdout.split()
    assert tag == "v1.0"
    assert publication.done("GET", f"/datasets/{reference}")["version"]["tag"] == "v1.0"
    assert publication.done("GET", publication.version("v1.0"))["releaseNotes"] == "The first"
    live = f"{publication.table('answers')}/uploads/live"
    assert publication.done("POST", f"{live}/rows", {"rows": [{"a": 2}]})["version"] == "next"


def test_a_release_that_does_not(server: ServerProcess, publication: Publication) -> None:
    """Without the option there is no next version afterwards."""
    assert release(server, publication.reference).returncode == 0
    assert publication.done("GET", publication.dataset())["nextVersion"] is None


def test_refusals(server: ServerProcess, publication: Publication) -> None:
    """The server's words on one line of stderr, and an exit status as docs/command-line.md has it."""
    publication.release(continueStreams=True)
    for done, status, words in (
        (release(server, publication.reference), 5, "nothing to release"),
        (release(server, "nobody.nothing"), 5, "nobody.nothing"),
        (release(server, publication.reference, token="wrong"), 5, "token"),
        (release(server, publication.reference, "--url", "http://127.0.0.1:9/api/v1"), 6, "look before"),
    ):
        assert (done.returncode, done.stdout) == (status, "")
        (line,) = done.stderr.splitlines()
        assert line.startswith("rowkeep: ")
        assert words in line
