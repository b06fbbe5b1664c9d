"""What uploads declare of variables survives into the next version, like what is said with PATCH."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.api.publishing import Publication
from tests.server_process import ServerProcess

DECLARED = {
    "name": "n",
    "type": "integer",
    "label": "Number",
    "description": "How many",
    "valueLabels": [{"value": "1", "label": "one"}],
}
SAID = {name: DECLARED[name] for name in ("label", "description", "valueLabels")}
NOTHING = {"label": None, "description": None, "valueLabels": []}
PLAIN = {"name": "n", "type": "integer"}


@pytest.fixture(params=["append", "replace"])
def publication(server: ServerProcess, request: pytest.FixtureRequest) -> Iterator[Publication]:
    """A dataset with a table `answers` that keeps or replaces the rows of the versions before."""
    made = Publication(server)
    made.add_table("answers", uploadMergeStrategy=request.param)
    yield made
    made.close()


def said_of(publication: Publication, name: str = "n", version: str = "next") -> dict[str, Any]:
    """What is said of a variable."""
    found = publication.done("GET", f"{publication.table('answers', version)}/variables/{name}")
    return {key: found[key] for key in SAID}


def release_and_go_on(publication: Publication, schema: list[dict[str, Any]]) -> None:
    """Releases, and opens the next version with an upload of this schema that has a row."""
    publication.release()
    publication.done("POST", f"{publication.dataset()}/versions")
    publication.add_upload("answers", "live", [{"n": 2}], schema)


def test_declared_once_it_is_there_in_every_version(publication: Publication) -> None:
    """Two versions on, with uploads that say nothing, a variable is described as the first upload did."""
    publication.add_upload("answers", "live", [{"n": 1}], [DECLARED])
    for _ in range(2):
        release_and_go_on(publication, [PLAIN])
        assert said_of(publication) == SAID
    assert said_of(publication, version="v1.0") == SAID


def test_streams_that_go_on_keep_it(publication: Publication) -> None:
    """Also where the release opens the next version."""
    publication.add_upload("answers", "live", [{"n": 1}], [DECLARED])
    publication.release(continueStreams=True)
    assert said_of(publication) == SAID


def test_before_the_next_version_has_an_upload(publication: Publication) -> None:
    """The rows shown are those of the version before, and so is what is said of them."""
    publication.add_upload("answers", "live", [{"n": 1}], [DECLARED])
    publication.release()
    publication.done("POST", f"{publication.dataset()}/versions")
    assert said_of(publication) == SAID


def test_what_is_declared_later_fills_what_was_not(publication: Publication) -> None:
    """An upload of a later version can describe what those before did not."""
    publication.add_upload("answers", "live", [{"n": 1}], [{**PLAIN, "label": "First"}])
    release_and_go_on(publication, [{**PLAIN, "description": "Later"}])
    assert said_of(publication) == {"label": "First", "description": "Later", "valueLabels": []}
    release_and_go_on(publication, [PLAIN])
    assert said_of(publication) == {"label": "First", "description": "Later", "valueLabels": []}


def test_what_was_said_with_patch_wins(publication: Publication) -> None:
    """Over what was declared before and after it; also where it says that there is nothing to say."""
    publication.add_upload("answers", "live", [{"n": 1, "m": 1}], [DECLARED, {**DECLARED, "name": "m"}])
    variables = f"{publication.table('answers')}/variables"
    publication.done("PATCH", f"{variables}/n", {"label": "Patched"})
    publication.done("PATCH", f"{variables}/m", {"label": None, "description": None, "valueLabels": None})
    release_and_go_on(publication, [{**PLAIN, "label": "Declared"}, {**DECLARED, "name": "m"}])
    assert said_of(publication) == {**SAID, "label": "Patched"}
    assert said_of(publication, "m") == NOTHING


def test_patch_of_what_was_declared_before(publication: Publication) -> None:
    """A change of one thing leaves the others as they came from the version before."""
    publication.add_upload("answers", "live", [{"n": 1}], [DECLARED])
    release_and_go_on(publication, [PLAIN])
    publication.done("PATCH", f"{publication.table('answers')}/variables/n", {"label": "Patched"})
    assert said_of(publication) == {**SAID, "label": "Patched"}


def test_a_table_that_replaces_is_described_anew(server: ServerProcess) -> None:
    """What the uploads of a version declare themselves wins over what those before declared."""
    publication = Publication(server)
    publication.add_table("answers", uploadMergeStrategy="replace")
    publication.add_upload("answers", "live", [{"n": 1}], [DECLARED])
    release_and_go_on(publication, [{**PLAIN, "label": "Corrected"}])
    assert said_of(publication) == {**SAID, "label": "Corrected"}
    release_and_go_on(publication, [PLAIN])
    assert said_of(publication)["label"] == "Corrected"
    publication.close()


def test_a_wrong_label_goes_with_its_upload(publication: Publication) -> None:
    """Within a version, who deletes an upload and creates it with another label sees that one."""
    made = publication.add_upload("answers", "live", [{"n": 1}], [{**PLAIN, "label": "Wrong"}])
    publication.done("DELETE", made["uri"])
    publication.add_upload("answers", "live", [{"n": 1}], [{**PLAIN, "label": "Right"}])
    assert said_of(publication)["label"] == "Right"
