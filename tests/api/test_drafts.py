"""What is said of an upload, a table or a version that is being made, and of which nothing comes of it."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.api.publishing import Json, Publication
from tests.server_process import ServerProcess

SCHEMA = [{"name": "Site", "type": "string", "label": "declared"}, {"name": "count", "type": "integer"}]


@pytest.fixture
def publication(server: ServerProcess) -> Iterator[Publication]:
    """A dataset with a table `answers` without uploads."""
    made = Publication(server)
    made.add_table("answers")
    yield made
    made.close()


def draft(metadata: Json | None) -> dict[str, Any]:
    """A stream of two variables with something said of them beside the schema."""
    return {"name": "s", "type": "stream", "schema": SCHEMA, "metadata": metadata}


def test_metadata_describes_variables(publication: Publication) -> None:
    """Labels and descriptions may stand beside the schema, by names in any case; they win over its own."""
    said = {
        "SITE": {"label": "The site", "valueLabels": {"ZRH": "Zurich"}},
        "count": {"description": "How many", "type": "string"},
    }
    uri = publication.done("POST", f"{publication.table('answers')}/uploads", draft(said))["uri"]
    site, count = (publication.done("GET", f"{uri}/variables/{name}") for name in ("site", "count"))
    assert (site["name"], site["type"], site["label"]) == ("Site", "string", "The site")
    assert site["valueLabels"] == [{"value": "ZRH", "label": "Zurich"}]
    assert (count["type"], count["label"], count["description"]) == ("integer", None, "How many")


@pytest.mark.parametrize(
    ("metadata", "complaint"),
    [
        ({"nowhere": {"label": "x"}}, "`metadata` describes 'nowhere', which is not in the schema"),
        ({"Site": {"label": 5}}, "`metadata` of 'Site' does not fit"),
        ({"Site": {"valueLabels": [1]}}, "`metadata` of 'Site' does not fit"),
    ],
)
def test_metadata_that_describes_nothing(publication: Publication, metadata: Json, complaint: str) -> None:
    """It is refused, and no upload is made."""
    uploads = f"{publication.table('answers')}/uploads"
    assert complaint in publication.refused(400, "POST", uploads, draft(metadata))
    assert publication.done("GET", uploads)["results"] == []


@pytest.mark.parametrize(("key", "characters_max"), [("label", 256), ("releaseNotes", 1_000_000)])
def test_texts_of_a_version_are_bounded(publication: Publication, key: str, characters_max: int) -> None:
    """As long as allowed they stay, one more character is refused and changes nothing."""
    path = publication.version("next")
    publication.done("PATCH", path, {key: "n" * characters_max})
    publication.refused(400, "PATCH", path, {key: "n" * (characters_max + 1)})
    if key == "releaseNotes":  # a release takes no label
        publication.refused(400, "POST", f"{path}/release", {key: "n" * (characters_max + 1)})
    assert publication.done("GET", path)[key] == "n" * characters_max
