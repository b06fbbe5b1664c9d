"""Versions as their page describes them: create, release, unrelease, delete. Source: contract 4.3, 7.15f."""

import time
from collections.abc import Iterator

import apsw
import pytest

from tests.api.publishing import Publication
from tests.command_line import rowkeep
from tests.server_process import ServerProcess

DAY_MS = 86_400_000


@pytest.fixture
def publication(server: ServerProcess) -> Iterator[Publication]:
    """A dataset without a table."""
    made = Publication(server)
    yield made
    made.close()


@pytest.fixture
def released(publication: Publication) -> Publication:
    """A dataset with v1.0 of a table of two rows."""
    assert publication.publish("answers", "first", [{"a": 1}, {"a": 2}]) == "v1.0"
    return publication


@pytest.fixture(scope="module")
def stranger(server: ServerProcess) -> str:
    """A token of a user who was given nothing."""
    rowkeep("user", "create", "passerby", data_dir=server.data_dir)
    return rowkeep("token", "create", "--user", "passerby", data_dir=server.data_dir)


def test_a_new_dataset_has_a_next_version(publication: Publication) -> None:
    """It is listed and found as `next`, has no neighbours, and there is no current one."""
    found = publication.done("GET", publication.version("next"))
    assert (found["kind"], found["tag"], found["index"]) == ("version", "next", 0)
    assert (found["isReleased"], found["isDeleted"], found["releasedAt"]) == (False, False, None)
    assert (found["previousVersion"], found["nextVersion"], found["canRelease"]) == (None, None, True)
    assert (found["status"], found["label"], found["releaseNotes"]) == (None, None, None)
    listed = publication.done("GET", f"{publication.dataset()}/versions")
    assert (listed["kind"], listed["nextPageToken"]) == ("versionList", None)
    assert [version["tag"] for version in listed["results"]] == ["next"]
    assert "current" in publication.refused(404, "GET", publication.version("current"))


def test_release(publication: Publication) -> None:
    """A release answers with the version, complete, and its datasetUri can be read at once."""
    publication.add_table("answers")
    before = time.time_ns() // 1_000_000
    released = publication.release(releaseNotes="the first")
    assert (released["tag"], released["index"], released["isReleased"]) == ("v1.0", 0, True)
    assert (released["releaseNotes"], released["status"], released["canRelease"]) == (
        "the first",
        "completed",
        False,
    )
    assert before <= released["releasedAt"] <= time.time_ns() // 1_000_000
    dataset = publication.done("GET", released["datasetUri"])
    assert (dataset["version"]["tag"], dataset["nextVersion"]) == ("v1.0", None)
    assert publication.done("GET", released["uri"]) == released
    assert "released already" in publication.refused(
        400, "POST", publication.version("current", "release"), {}
    )
    publication.refused(404, "POST", publication.version("next", "release"), {})


@pytest.mark.parametrize("body", [None, {"release_notes": None}, {"release_notes": "r"}, {"other": 1}])
def test_release_takes_what_clients_send(publication: Publication, body: dict[str, object] | None) -> None:
    """JavaScript sends no body, R spells the notes with an underscore and sends null for none."""
    publication.add_table("answers")
    released = publication.done("POST", publication.version("next", "release"), body)
    assert released["releaseNotes"] == (body or {}).get("release_notes")


def test_notes_written_before_the_release_stay(publication: Publication) -> None:
    """A release that says nothing of notes keeps those that the version has."""
    publication.add_table("answers")
    publication.done("PATCH", publication.version("next"), {"releaseNotes": "kept", "label": "spring"})
    released = publication.release()
    assert (released["releaseNotes"], released["label"]) == ("kept", "spring")


@pytest.mark.parametrize("tag", ["current", "v1.0", "v1_0", "1.0", "1_0", "V1.0", "CURRENT", "v1%2E0"])
def test_spellings_of_a_tag(released: Publication, tag: str) -> None:
    """A version's path takes `current`, v1.0 and v1_0, bare numbers, in any case."""
    assert released.done("GET", released.version(tag))["tag"] == "v1.0"
    assert released.ask("HEAD", released.version(tag)).status_code == 200


@pytest.mark.parametrize("tag", ["next", "v9.9", "v1", "1", "latest", "v1.0.0", "v-1.0", "v٢.0"])
def test_versions_that_are_not_there(released: Publication, tag: str) -> None:
    """Anything else is 404, by HEAD too."""
    released.refused(404, "GET", released.version(tag))
    assert released.ask("HEAD", released.version(tag)).status_code == 404


@pytest.mark.parametrize("version", ["", "current", "v1.0", "v1_0", "V1_0"])
def test_references_to_a_version(released: Publication, version: str) -> None:
    """A dataset's and a table's reference take the version with a dot or an underscore, or none."""
    assert released.done("GET", released.dataset(version))["version"]["tag"] == "v1.0"
    assert released.done("GET", released.table("answers", version))["numRows"] == 2
    assert released.rows("answers", version) == [{"a": 1}, {"a": 2}]


def test_create_the_next_version(released: Publication) -> None:
    """It starts with the tables of the current one, whose rows it shows."""
    made = released.ask("POST", f"{released.dataset()}/versions")
    assert made.status_code == 201
    version = made.json()
    assert (version["tag"], version["index"], version["canRelease"]) == ("next", 1, False)
    assert (version["previousVersion"]["tag"], version["nextVersion"]) == ("v1.0", None)
    assert version["datasetUri"].endswith(":next")
    assert released.done("GET", released.version("v1.0"))["nextVersion"]["tag"] == "next"
    assert released.rows("answers", "next") == [{"a": 1}, {"a": 2}]
    before, after = (released.done("GET", released.table("answers", tag)) for tag in ("v1.0", "next"))
    assert (after["referenceId"], after["hash"]) == (before["referenceId"], before["hash"])
    assert released.done("GET", f"{released.table('answers')}/uploads")["results"] == []


def test_there_is_one_next_version(released: Publication) -> None:
    """A second one, and one of a dataset that was never released, is refused."""
    released.done("POST", f"{released.dataset()}/versions")
    assert ":next" in released.refused(400, "POST", f"{released.dataset()}/versions")
    tags = [one["tag"] for one in released.done("GET", f"{released.dataset()}/versions")["results"]]
    assert tags == ["v1.0", "next"]


def test_a_dataset_never_released_has_its_next_version(publication: Publication) -> None:
    """Creating one is refused: the dataset is at its first."""
    publication.refused(400, "POST", f"{publication.dataset()}/versions")


def test_what_can_be_released(publication: Publication) -> None:
    """Also a dataset without tables, and nothing that does not differ from the version before."""

    def can_release() -> bool:
        found: bool = publication.done("GET", publication.version("next"))["canRelease"]
        return found

    def release_is_refused() -> str:
        assert not can_release()
        return publication.refused(400, "POST", publication.version("next", "release"), {})

    assert can_release()
    assert publication.release()["tag"] == "v1.0"
    publication.done("POST", f"{publication.dataset()}/versions")
    assert "v1.0" in release_is_refused()
    publication.add_table("answers")
    assert can_release()
    assert publication.release()["tag"] == "v1.1"
    publication.done("POST", f"{publication.dataset()}/versions")
    assert "v1.1" in release_is_refused()
    publication.done("PATCH", publication.table("answers"), {"description": "said", "name": "Answers"})
    assert can_release()
    publication.done("PATCH", publication.table("answers"), {"name": "answers"})
    publication.done("PATCH", publication.table("answers"), {"uploadMergeStrategy": "replace"})
    assert "v1.1" in release_is_refused()
    upload = publication.add_upload("answers", "u", [{"a": 1}])
    assert can_release()
    publication.done("DELETE", upload["uri"])
    assert "v1.1" in release_is_refused()
    assert publication.done("GET", f"{publication.dataset()}/versions")["results"][-1]["tag"] == "next"


def test_neighbours(released: Publication) -> None:
    """A version knows the ones next to it, a dataset its previous and its unreleased version."""
    released.publish("answers", "second", [{"a": 3}])
    released.done("POST", f"{released.dataset()}/versions")

    def neighbours(path: str) -> tuple[str | None, ...]:
        found = released.done("GET", path)
        return tuple(found[name] and found[name]["tag"] for name in ("previousVersion", "nextVersion"))

    assert neighbours(released.version("v1.0")) == (None, "v1.1")
    assert neighbours(released.version("v1.1")) == ("v1.0", "next")
    assert neighbours(released.version("next")) == ("v1.1", None)
    assert neighbours(released.dataset()) == ("v1.0", "next")
    assert neighbours(released.dataset("v1.0")) == (None, "next")
    assert neighbours(released.dataset("next")) == ("v1.1", "next")


def test_readers_do_not_hear_of_the_next_version(server: ServerProcess, stranger: str) -> None:
    """To whoever may not edit, what is unreleased does not exist; what is public does."""
    publication = Publication(server, public_access_level="data")
    for token, status in (("", 401), (stranger, 404)):
        publication.refused(status, "GET", publication.dataset(), token=token)
    publication.publish("answers", "first", [{"a": 1}])
    publication.done("POST", f"{publication.dataset()}/versions")
    for token, status in (("", 401), (stranger, 404)):
        for path in (publication.dataset("next"), publication.table("answers", "next")):
            publication.refused(status, "GET", path, token=token)
        publication.refused(404, "GET", publication.version("next"), token=token)
        dataset = publication.ask("GET", publication.dataset(), token=token).json()
        assert (dataset["version"]["tag"], dataset["nextVersion"]) == ("v1.0", None)
        version = publication.ask("GET", publication.version("v1.0"), token=token).json()
        assert (version["nextVersion"], version["canRelease"]) == (None, False)
        listed = publication.ask("GET", f"{publication.dataset()}/versions", token=token).json()
        assert [one["tag"] for one in listed["results"]] == ["v1.0"]
    publication.close()


def test_unversioned_references(released: Publication, stranger: str, server: ServerProcess) -> None:
    """The current version; of a dataset never released the next one for its editors, and no current one."""
    fresh = Publication(server)
    dataset = fresh.done("GET", fresh.dataset())
    assert (dataset["version"]["tag"], dataset["nextVersion"]["tag"]) == ("next", "next")
    assert dataset["nextVersion"]["datasetUri"] == dataset["uri"]
    fresh.refused(404, "GET", fresh.dataset("current"))
    fresh.refused(404, "GET", fresh.dataset(), token=stranger)
    fresh.add_table("answers")
    assert fresh.done("GET", fresh.table("answers", ""))["uri"].count(":next") == 1
    fresh.close()
    released.done("POST", f"{released.dataset()}/versions")
    assert released.done("GET", released.dataset())["version"]["tag"] == "v1.0"
    path = f"{released.table('answers', '')}/uploads"
    assert ":next" in released.done("POST", path, {"name": "u", "type": "stream"})["uri"]


def test_unrelease(released: Publication) -> None:
    """The current version is the next one again, takes rows, and is released under the same tag."""
    taken_back = released.done("POST", released.version("current", "unrelease"))
    assert (taken_back["tag"], taken_back["isReleased"], taken_back["releasedAt"]) == ("next", False, None)
    assert released.done("GET", taken_back["datasetUri"])["version"]["tag"] == "next"
    released.refused(404, "GET", released.dataset("v1.0"))
    path = f"{released.table('answers')}/uploads/first/rows"
    assert released.done("POST", path, {"rows": [{"a": 3}]})["rowsAdded"] == 1
    assert released.release()["tag"] == "v1.0"
    assert released.rows("answers", "v1.0") == [{"a": 1}, {"a": 2}, {"a": 3}]


def test_only_the_current_version_can_be_unreleased(released: Publication) -> None:
    """Not an older one, not an unreleased one, and not while a next version rests on it."""
    released.publish("answers", "second", [{"a": 3}])
    assert "current" in released.refused(400, "POST", released.version("v1.0", "unrelease"))
    released.done("POST", f"{released.dataset()}/versions")
    assert "delete the next version" in released.refused(
        400, "POST", released.version("current", "unrelease")
    )
    released.refused(400, "POST", released.version("next", "unrelease"))
    assert released.done("DELETE", released.version("next"))["tag"] == "next"
    assert released.done("POST", released.version("v1.1", "unrelease"))["tag"] == "next"


def test_a_version_that_others_rest_on_is_not_unreleased(released: Publication) -> None:
    """Not even when they are deleted: undeleting one must bring back the rows that it had."""
    released.publish("answers", "second", [{"a": 3}])
    released.done("DELETE", released.version("v1.1"))
    assert released.done("GET", released.dataset())["version"]["tag"] == "v1.0"
    assert "v1.1" in released.refused(400, "POST", released.version("v1.0", "unrelease"))
    released.done("POST", released.version("v1.1", "undelete"))
    assert released.rows("answers", "v1.1") == [{"a": 1}, {"a": 2}, {"a": 3}]


@pytest.mark.parametrize(("age_ms", "status"), [(7 * DAY_MS - 600_000, 200), (7 * DAY_MS + 1_000, 400)])
def test_unrelease_within_a_week(
    released: Publication, server: ServerProcess, age_ms: int, status: int
) -> None:
    """A release can be taken back for 7 days."""
    reference_id = released.created["referenceId"]
    database = apsw.Connection(str(server.data_dir / "rowkeep.db"))
    database.set_busy_timeout(5_000)
    database.execute(
        "UPDATE versions SET released_at = released_at - ? WHERE dataset_id IN "
        "(SELECT id FROM datasets WHERE reference_id = ?)",
        (age_ms, reference_id),
    )
    database.close()
    response = released.ask("POST", released.version("current", "unrelease"))
    assert response.status_code == status, response.text
    if status == 400:
        assert "7 days" in response.json()["error_description"]
        assert released.done("GET", released.dataset())["version"]["tag"] == "v1.0"


def test_delete_and_undelete_a_released_version(released: Publication) -> None:
    """It is hidden, the one before is current, later ones keep its rows; undeleting brings it back."""
    released.publish("answers", "second", [{"a": 3}])
    released.publish("answers", "third", [{"a": 4}])
    before = released.everything("v1.1")
    deleted = released.done("DELETE", released.version("v1.1"))
    assert (deleted["tag"], deleted["isDeleted"]) == ("v1.1", True)
    assert deleted["uri"] == released.done("GET", deleted["uri"])["uri"]
    released.refused(404, "GET", released.dataset("v1.1"))
    assert released.rows("answers", "v1.2") == [{"a": 1}, {"a": 2}, {"a": 3}, {"a": 4}]
    assert released.done("GET", released.version("v1.2"))["previousVersion"]["tag"] == "v1.0"
    listed = released.done("GET", f"{released.dataset()}/versions")["results"]
    assert [(one["tag"], one["isDeleted"]) for one in listed] == [
        ("v1.0", False),
        ("v1.1", True),
        ("v1.2", False),
    ]
    assert "already" in released.refused(400, "DELETE", released.version("v1.1"))
    restored = released.done("POST", released.version("v1.1", "undelete"))
    assert (restored["uri"], restored["isDeleted"]) == (deleted["uri"], False)
    assert released.everything("v1.1") == before
    assert "not deleted" in released.refused(400, "POST", released.version("v1.1", "undelete"))


def test_deleting_the_current_version(released: Publication) -> None:
    """The one before becomes current, and its tag is not given again."""
    released.publish("answers", "second", [{"a": 3}])
    released.done("DELETE", released.version("current"))
    assert released.done("GET", released.dataset())["version"]["tag"] == "v1.0"
    released.done("POST", f"{released.dataset()}/versions")
    assert released.rows("answers", "next") == [{"a": 1}, {"a": 2}]
    released.add_upload("answers", "other", [{"a": 5}])
    assert released.release()["tag"] == "v1.2"
    released.done("POST", released.version("v1.1", "undelete"))
    assert released.rows("answers", "v1.1") == [{"a": 1}, {"a": 2}, {"a": 3}]
    assert released.rows("answers", "v1.2") == [{"a": 1}, {"a": 2}, {"a": 5}]


def test_deleting_the_next_version(released: Publication) -> None:
    """It is gone for good with what is only in it, and another can be created."""
    released.done("POST", f"{released.dataset()}/versions")
    released.add_upload("answers", "second", [{"a": 3}])
    assert released.done("DELETE", released.version("next"))["tag"] == "next"
    released.refused(404, "GET", released.version("next"))
    released.refused(404, "GET", released.table("answers", "next"))
    assert released.rows("answers", "v1.0") == [{"a": 1}, {"a": 2}]
    released.done("POST", f"{released.dataset()}/versions")
    assert released.rows("answers", "next") == [{"a": 1}, {"a": 2}]


def test_the_only_version_stays(released: Publication, publication: Publication) -> None:
    """Deleting it is refused, since a dataset without a version cannot be."""
    assert "delete the dataset" in released.refused(400, "DELETE", released.version("v1.0"))
    released.publish("answers", "second", [{"a": 3}])
    released.done("DELETE", released.version("v1.0"))
    released.refused(400, "DELETE", released.version("v1.1"))


@pytest.mark.parametrize("tag", ["v1.0", "next"])
def test_what_is_said_of_a_version(released: Publication, tag: str) -> None:
    """Label and release notes can be changed on any version; null empties, what is unset stays."""
    released.done("POST", f"{released.dataset()}/versions")
    said = released.done("PATCH", released.version(tag), {"label": "spring", "releaseNotes": "# All\nnew"})
    assert (said["tag"], said["label"], said["releaseNotes"]) == (tag, "spring", "# All\nnew")
    assert released.done("GET", released.version(tag)) == said
    less = released.done("PATCH", released.version(tag), {"label": None, "unknown": {}})
    assert (less["label"], less["releaseNotes"]) == (None, "# All\nnew")
    assert "256" in released.refused(400, "PATCH", released.version(tag), {"label": "x" * 257})
    assert released.done("PATCH", released.version(tag), {"label": "ß" * 256})["label"] == "ß" * 256
    released.refused(400, "PATCH", released.version(tag), {"label": 1})


def test_undelete_where_the_next_version_was_made_without_it(released: Publication) -> None:
    """It is refused with the reason, until the next version is released or gone; then next holds its rows."""
    released.publish("answers", "second", [{"a": 10}])
    released.done("DELETE", released.version("v1.1"))
    released.done("POST", f"{released.dataset()}/versions")
    problem = released.refused(400, "POST", released.version("v1.1", "undelete"))
    assert "next version was made without it" in problem
    released.done("DELETE", released.version("next"))
    released.done("POST", released.version("v1.1", "undelete"))
    released.done("POST", f"{released.dataset()}/versions")
    assert {"a": 10} in released.rows("answers", "next")


def test_undelete_of_an_earlier_version(released: Publication) -> None:
    """One that does not become current again, or that next was made from, can always be undeleted."""
    released.publish("answers", "second", [{"a": 10}])
    released.done("POST", f"{released.dataset()}/versions")
    for tag in ("v1.0", "v1.1"):
        released.done("DELETE", released.version(tag))
        released.done("POST", released.version(tag, "undelete"))
    assert {"a": 10} in released.rows("answers", "next")
