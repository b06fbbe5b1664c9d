"""What is said of datasets, tables and variables, and how it is changed. Source: contract 4.2, 4.4, 4.6."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.api.publishing import Json, Publication
from tests.server_process import ServerProcess


@pytest.fixture
def publication(server: ServerProcess) -> Iterator[Publication]:
    """A dataset with a table `answers` of the variables `site` and `count`, unreleased."""
    made = Publication(server)
    made.add_table("answers")
    made.add_upload("answers", "live", [{"site": "a", "count": 1}])
    yield made
    made.close()


@pytest.mark.parametrize("method", ["PATCH", "POST"])
def test_change_a_dataset(publication: Publication, method: str) -> None:
    """What is named changes, null empties, the rest stays; the answer is what GET then answers."""
    said = {
        "name": "New Name!",
        "publicAccessLevel": "metadata",
        "description": "d" * 256,
        "methodologyMarkdown": "# How",
        "usageMarkdown": "use\nit",
        "labels": ["b", "a", "b"],
        "tags": ["x"],
        "unknown": {"deep": 1},
    }
    path = f"/datasets/demo.{publication.created['scopedReference']}"
    changed = publication.done(method, path, {**said, "name": f"New {publication.reference}"})
    assert changed == publication.done("GET", changed["uri"])
    assert changed["updatedAt"] >= publication.created["updatedAt"]
    expected = {**said, "name": f"New {publication.reference}", "labels": ["b", "a"]}
    del expected["unknown"]
    assert {name: changed[name] for name in expected} == expected
    emptied = {"description": None, "methodologyMarkdown": None, "usageMarkdown": None, "labels": None}
    after = publication.done(method, changed["uri"], emptied)
    assert [after[name] for name in emptied] == [None, None, None, []]
    assert (after["name"], after["publicAccessLevel"], after["tags"]) == (changed["name"], "metadata", ["x"])


def test_nothing_changed(publication: Publication) -> None:
    """A change that changes nothing leaves updatedAt alone, of a dataset and of a table."""
    for path in (publication.dataset(), publication.table("answers")):
        before = publication.done("GET", path)
        assert publication.done("PATCH", path, {"name": before["name"], "description": None}) == before
        assert publication.done("PATCH", path, {}) == before


def test_snake_case(publication: Publication) -> None:
    """The R client spells keys with underscores. Both spellings at once are refused: one would be lost."""
    changed = publication.done("PATCH", publication.dataset(), {"public_access_level": "overview"})
    assert changed["publicAccessLevel"] == "overview"
    both = {"public_access_level": "overview", "publicAccessLevel": "none"}
    assert "`publicAccessLevel` twice" in publication.refused(400, "PATCH", publication.dataset(), both)
    table = publication.done("PATCH", publication.table("answers"), {"upload_merge_strategy": "replace"})
    assert table["uploadMergeStrategy"] == "replace"
    labels = {"value_labels": [{"value": "a_b", "label": "l_m"}]}
    variable = publication.done("PATCH", f"{publication.table('answers')}/variables/site", labels)
    assert variable["valueLabels"] == labels["value_labels"]
    bulk = {"variables": [{"name": "count", "value_labels": {"x_y": "z_z"}}]}
    for path in (publication.table("answers"), publication.dataset()):
        assert publication.done("PATCH", f"{path}/variables", bulk) is None
    variable = publication.done("GET", f"{publication.table('answers')}/variables/count")
    assert variable["valueLabels"] == [{"value": "x_y", "label": "z_z"}]


@pytest.mark.parametrize("kind", ["labels", "tags"])
def test_labels_and_tags(publication: Publication, kind: str) -> None:
    """They are replaced, added to and removed from, each once, in the order of their arrival."""

    def texts(body: Json) -> list[str]:
        found: list[str] = publication.done("PATCH", publication.dataset(), body)[kind]
        return found

    assert texts({kind: ["b", "a"]}) == ["b", "a"]
    assert texts({f"{kind}ToAdd": ["c", "a"]}) == ["b", "a", "c"]
    assert texts({f"{kind}ToRemove": ["a", "absent"]}) == ["b", "c"]
    assert texts({f"{kind}ToAdd": ["d"], f"{kind}ToRemove": ["b"]}) == ["c", "d"]
    assert texts({kind: ["x"], f"{kind}ToAdd": ["y"], f"{kind}ToRemove": ["x"]}) == ["y"]
    assert texts({f"{kind}ToAdd": None, f"{kind}ToRemove": None}) == ["y"]
    assert texts({kind: [str(number) for number in range(100)]})[99] == "99"
    problem = publication.refused(400, "PATCH", publication.dataset(), {f"{kind}ToAdd": ["one more"]})
    assert "100" in problem
    publication.refused(400, "PATCH", publication.dataset(), {kind: ["x" * 257]})
    assert texts({kind: []}) == []


BAD_DATASETS: list[Json] = [
    {"name": ""},
    {"name": "  "},
    {"name": "!?"},
    {"name": "x" * 129},
    {"name": None},
    {"name": "a\nb"},
    {"description": "x" * 257},
    {"publicAccessLevel": "edit"},
    {"publicAccessLevel": "everything"},
    {"publicAccessLevel": None},
    {"labels": "a"},
    {"labels": [1]},
    {"methodologyMarkdown": "x" * 1_000_001},
    {"usageMarkdown": 5},
]


@pytest.mark.parametrize("body", BAD_DATASETS, ids=lambda body: str(body)[:40])
def test_bad_changes_of_a_dataset(publication: Publication, body: Json) -> None:
    """What a dataset cannot be is 400, and nothing changes, not even what would have been good."""
    before = publication.done("GET", publication.dataset())
    good = {"usageMarkdown": "new", "tags": ["new"]}
    publication.refused(400, "PATCH", publication.dataset(), {**good, **body})
    assert publication.done("GET", publication.dataset()) == before
    if "name" in body or "publicAccessLevel" in body:
        draft = {"name": "never made", "publicAccessLevel": "none", **body}
        publication.refused(400, "POST", "/users/demo/datasets", draft)


def test_names_of_datasets(publication: Publication, server: ServerProcess) -> None:
    """A name is taken whatever its case and punctuation; a dataset may be called by its own name anew."""
    other = Publication(server)
    taken = publication.created["name"]
    for name in (taken, taken.upper(), taken.replace("_", " - "), f"?{taken}!"):
        assert "already" in other.refused(400, "PATCH", other.dataset(), {"name": name})
        other.refused(400, "POST", "/users/demo/datasets", {"name": name, "publicAccessLevel": "none"})
    louder = publication.done("PATCH", publication.dataset(), {"name": taken.upper()})
    assert (louder["name"], louder["uri"]) == (taken.upper(), publication.created["uri"])
    other.close()


def test_a_rename_keeps_the_reference_id(publication: Publication) -> None:
    """With its id a resource is found under any name; without it only under the one it has."""
    old = publication.created
    upload_uri = publication.done("GET", f"{publication.table('answers')}/uploads/live")["uri"]
    table_uri = publication.done("GET", publication.table("answers"))["uri"]
    renamed = publication.done("PATCH", old["uri"], {"name": f"other {old['name']}"})
    publication.refused(404, "GET", publication.dataset())
    assert renamed["uri"] != old["uri"]
    for uri in (old["uri"], renamed["uri"], old["uri"].replace("publication", "whatever")):
        assert publication.done("GET", uri)["id"] == old["id"]
    table = publication.done("PATCH", table_uri, {"name": "Replies (2)"})
    assert (table["name"], table["hash"]) == (
        "Replies (2)",
        publication.done("GET", table_uri)["hash"],
    )
    assert publication.done("GET", table_uri)["uri"] == table["uri"] != table_uri
    dataset = renamed["uri"].removeprefix("/datasets/")
    publication.refused(404, "GET", f"/tables/{dataset}.answers")
    assert publication.done("GET", f"/tables/{dataset}.replies%202")["id"] == table["id"]
    assert publication.done("POST", f"{upload_uri}/rows", {"rows": [{"count": 2}]})["rowsAdded"] == 1
    publication.done("POST", "/users/demo/datasets", {"name": old["name"], "publicAccessLevel": "none"})
    assert publication.done("GET", publication.dataset())["id"] != old["id"]
    assert publication.done("GET", old["uri"])["id"] == old["id"]


def test_change_a_table(publication: Publication) -> None:
    """Name, description and strategy; names are taken whatever their case and punctuation."""
    changed = publication.done(
        "PATCH", publication.table("answers"), {"description": "d" * 5000, "uploadMergeStrategy": "replace"}
    )
    assert (changed["description"], changed["uploadMergeStrategy"]) == ("d" * 5000, "replace")
    assert changed == publication.done("GET", publication.table("answers"))
    publication.add_table("Other Table")
    bad: list[Json] = [
        {"name": "other__table"},
        {"name": "OTHER TABLE?"},
        {"name": ""},
        {"name": None},
        {"description": "d" * 5001},
        {"uploadMergeStrategy": "merge"},
        {"uploadMergeStrategy": None},
    ]
    for body in bad:
        publication.refused(400, "PATCH", publication.table("answers"), {"description": "lost", **body})
    assert publication.done("GET", publication.table("answers")) == changed
    publication.refused(400, "POST", f"{publication.dataset()}/tables", {"name": "other-table"})
    emptied = publication.done("PATCH", publication.table("answers"), {"description": None})
    assert (emptied["description"], emptied["uploadMergeStrategy"]) == (None, "replace")


def variable(publication: Publication, name: str, version: str = "next", table: str = "answers") -> Json:
    """What is said of a variable."""
    found: Json = publication.done("GET", f"{publication.table(table, version)}/variables/{name}")
    return {key: found[key] for key in ("label", "description", "valueLabels")}


PAIRS = [{"value": "1", "label": "one"}, {"value": "2", "label": "two"}]


@pytest.mark.parametrize("labels", [PAIRS, {"1": "one", "2": "two"}], ids=["list", "object"])
def test_describe_a_variable(publication: Publication, labels: Any) -> None:
    """Label, description and value labels; names ignore case; null unsets; the answer is the variable."""
    path = f"{publication.table('answers')}/variables/COUNT"
    said = publication.done(
        "PATCH", path, {"label": "Count", "description": "how many", "valueLabels": labels}
    )
    assert (said["kind"], said["name"], said["index"], said["type"]) == ("variable", "count", 1, "integer")
    assert variable(publication, "count") == {
        "label": "Count",
        "description": "how many",
        "valueLabels": PAIRS,
    }
    assert said == publication.done("GET", said["uri"])
    listed = publication.done("GET", f"{publication.table('answers')}/variables")["results"]
    assert [one["label"] for one in listed] == [None, "Count"]
    publication.done("PATCH", path, {"label": None})
    assert variable(publication, "count") == {
        "label": None,
        "description": "how many",
        "valueLabels": PAIRS,
    }
    publication.done("PATCH", path, {"description": None, "valueLabels": None})
    assert variable(publication, "count") == {"label": None, "description": None, "valueLabels": []}
    assert publication.rows("answers", "next") == [{"site": "a", "count": 1}]


def test_limits_of_what_is_said_of_a_variable(publication: Publication) -> None:
    """Each text has its limit, and what is just within it is kept whole."""
    path = f"{publication.table('answers')}/variables/count"
    pairs = [{"value": str(number), "label": "ü" * 96} for number in range(1000, 11_000)]
    whole = {"label": "日" * 256, "description": "d" * 5000, "valueLabels": pairs}
    assert sum(len(pair["value"]) + len(pair["label"]) for pair in pairs) == 1_001_000
    publication.refused(400, "PATCH", path, whole)
    del pairs[-10:]
    publication.done("PATCH", path, whole)
    assert variable(publication, "count") == whole
    bad: list[Json] = [
        {"label": "x" * 257},
        {"description": "x" * 5001},
        {"valueLabels": [{"value": "1", "label": "x" * 1_000_000}]},
        {"valueLabels": [{"value": "1", "label": "a"}, {"value": "1", "label": "b"}]},
        {"valueLabels": [{"value": "1"}]},
        {"valueLabels": {"1": 1}},
        {"valueLabels": "one"},
        {"label": 7},
    ]
    for body in bad:
        publication.refused(400, "PATCH", path, {"description": "lost", **body})
    assert variable(publication, "count") == whole
    publication.refused(404, "PATCH", f"{publication.table('answers')}/variables/absent", {"label": "x"})


def test_describe_several_variables(publication: Publication) -> None:
    """All or none: a name that is none is refused, whatever stands beside it."""
    path = f"{publication.table('answers')}/variables"
    both = [{"name": "site", "label": "Site"}, {"name": "COUNT", "description": "n", "valueLabels": PAIRS}]
    assert publication.done("PATCH", path, {"variables": both}) is None
    assert variable(publication, "site")["label"] == "Site"
    assert variable(publication, "count") == {"label": None, "description": "n", "valueLabels": PAIRS}
    problem = publication.refused(
        404, "PATCH", path, {"variables": [{"name": "site", "label": "lost"}, {"name": "absent"}]}
    )
    assert "absent" in problem
    publication.refused(400, "PATCH", path, {"variables": [{"label": "nameless"}]})
    publication.refused(400, "PATCH", path, {})
    assert variable(publication, "site")["label"] == "Site"
    assert publication.done("PATCH", path, {"variables": []}) is None
    publication.done("PATCH", path, {"variables": [{"name": "site", "label": None}]})
    assert variable(publication, "site")["label"] is None


def test_describe_variables_of_a_dataset(publication: Publication) -> None:
    """It goes for every table that has the variable; one at least must."""
    publication.add_table("places")
    publication.add_upload("places", "u", [{"Site": "a", "height": 2}])
    path = f"{publication.dataset()}/variables"
    body = {"variables": [{"name": "site", "label": "Site"}, {"name": "height", "label": "Height"}]}
    assert publication.done("PATCH", path, body) is None
    assert variable(publication, "site")["label"] == "Site"
    assert variable(publication, "site", table="places")["label"] == "Site"
    assert variable(publication, "height", table="places")["label"] == "Height"
    lost = [{"name": "site", "label": "lost"}, {"name": "absent", "label": "x"}]
    assert "absent" in publication.refused(404, "PATCH", path, {"variables": lost})
    assert variable(publication, "site")["label"] == "Site"


def test_an_uploads_own_words_count_until_others_are_said(publication: Publication) -> None:
    """What a schema declares stands until the table says otherwise; the upload's own variables stay."""
    schema = [{"name": "height", "type": "float", "label": "declared", "valueLabels": {"1": "low"}}]
    upload = publication.add_upload("answers", "declared", [], schema)
    declared = {"label": "declared", "description": None, "valueLabels": [{"value": "1", "label": "low"}]}
    assert variable(publication, "height") == declared
    publication.done("PATCH", f"{publication.table('answers')}/variables/height", {"label": None})
    assert variable(publication, "height") == {**declared, "label": None}
    assert publication.done("GET", f"{upload['uri']}/variables/height")["label"] == "declared"
    publication.refused(405, "PATCH", f"{upload['uri']}/variables/height", {"label": "x"})


def test_metadata_over_versions(publication: Publication) -> None:
    """The next version starts with it; then each version, released or not, has its own."""
    table = publication.table
    publication.done("PATCH", f"{table('answers')}/variables/site", {"label": "one", "valueLabels": PAIRS})
    publication.done("PATCH", table("answers"), {"description": "first"})
    publication.release()
    publication.done("POST", f"{publication.dataset()}/versions")
    assert variable(publication, "site") == {"label": "one", "description": None, "valueLabels": PAIRS}
    assert publication.done("GET", table("answers"))["description"] == "first"
    before = publication.everything("v1.0")
    publication.done("PATCH", f"{table('answers')}/variables/site", {"label": "two"})
    publication.done("PATCH", table("answers"), {"description": "second"})
    assert publication.everything("v1.0") == before
    publication.done("PATCH", f"{table('answers', 'v1.0')}/variables/site", {"label": "corrected"})
    publication.done("PATCH", table("answers", "v1.0"), {"description": "corrected"})
    publication.done("PATCH", f"{publication.dataset('v1.0')}/variables", {"variables": [{"name": "count"}]})
    assert variable(publication, "site", "v1.0")["label"] == "corrected"
    assert variable(publication, "site")["label"] == "two"
    assert publication.done("GET", table("answers"))["description"] == "second"
    after = publication.everything("v1.0")
    assert (after["rows"], after["arrow"]) == (before["rows"], before["arrow"])
    assert after["tables"][0]["hash"] == before["tables"][0]["hash"]
    assert publication.done("GET", publication.version("next"))["canRelease"] is False
