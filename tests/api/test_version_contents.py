"""What each version of a dataset holds: merge strategies, tags, sizes. Source: contract 4.3, 4.4, 7.24."""

from collections.abc import Callable, Iterator

import pytest

from tests.api.publishing import Json, Publication, Rows
from tests.server_process import ServerProcess


@pytest.fixture
def publication(server: ServerProcess) -> Iterator[Publication]:
    """A dataset without a table."""
    made = Publication(server)
    yield made
    made.close()


def facts(publication: Publication, version: str, table: str = "answers") -> tuple[Rows, int, str]:
    """What readers see of a table at a version: its rows, their number, its hash."""
    found: Json = publication.done("GET", publication.table(table, version))
    assert publication.done("GET", f"{publication.table(table, version)}/variables")["results"]
    return publication.rows(table, version), found["numRows"], found["hash"]


def numbered(*numbers: int) -> Rows:
    """A row for each number."""
    return [{"n": number} for number in numbers]


def test_append_keeps_what_earlier_versions_hold(publication: Publication) -> None:
    """Each version shows its parents' rows, then its own uploads', and every earlier one stays as it was."""
    tags = [publication.publish("answers", f"u{step}", numbered(step, step)) for step in range(4)]
    assert tags == ["v1.0", "v1.1", "v1.2", "v1.3"]
    seen = [facts(publication, tag) for tag in tags]
    for step, (rows, count, _) in enumerate(seen):
        assert rows == [{"n": number} for number in range(step + 1) for _ in range(2)]
        assert count == len(rows)
    assert len({hash_ for _, _, hash_ in seen}) == 4


def test_replace_shows_the_new_uploads_alone(publication: Publication) -> None:
    """A version of a replacing table shows the rows before until it has an upload, then only its own."""
    publication.add_table("answers", uploadMergeStrategy="replace")
    publication.add_upload("answers", "a", numbered(1))
    publication.add_upload("answers", "b", numbered(2))  # uploads of one version stack
    publication.release()
    first = facts(publication, "v1.0")
    assert first[0] == numbered(1, 2)
    publication.done("POST", f"{publication.dataset()}/versions")
    assert facts(publication, "next") == first
    upload = publication.add_upload("answers", "c", numbered(3))
    assert publication.rows("answers", "next") == numbered(3)
    publication.done("DELETE", upload["uri"])
    assert facts(publication, "next") == first
    publication.add_upload("answers", "c", numbered(4))
    publication.release()
    assert facts(publication, "v1.0") == first
    assert publication.rows("answers", "v1.1") == numbered(4)


def test_the_strategy_may_change_between_versions(publication: Publication) -> None:
    """Each version keeps the strategy it was released with; the next starts with the last one's."""
    publication.publish("answers", "a", numbered(1))
    publication.done("POST", f"{publication.dataset()}/versions")
    publication.done("PATCH", publication.table("answers"), {"uploadMergeStrategy": "replace"})
    publication.publish("answers", "b", numbered(2))
    publication.done("POST", f"{publication.dataset()}/versions")
    strategy = publication.done("GET", publication.table("answers"))["uploadMergeStrategy"]
    assert strategy == "replace"
    publication.done("PATCH", publication.table("answers"), {"uploadMergeStrategy": "append"})
    publication.publish("answers", "c", numbered(3))
    rows = [publication.rows("answers", tag) for tag in ("v1.0", "v1.1", "v1.2")]
    assert rows == [numbered(1), numbered(2), numbered(2, 3)]
    publication.done("POST", f"{publication.dataset()}/versions")
    publication.add_upload("answers", "d", numbered(4))
    publication.done("PATCH", publication.table("answers"), {"uploadMergeStrategy": "replace"})
    assert publication.rows("answers", "next") == numbered(4)
    publication.done("PATCH", publication.table("answers"), {"uploadMergeStrategy": "append"})
    assert publication.rows("answers", "next") == numbered(2, 3, 4)


def test_uploads_of_one_name_in_two_versions(publication: Publication) -> None:
    """An upload's name is its table's own in each version; both keep their rows and their schema."""
    publication.publish("answers", "live", [{"n": 1}])
    publication.publish("answers", "live", [{"n": "many"}], updateSchema=True)
    assert publication.rows("answers", "v1.0") == [{"n": 1}]
    assert publication.rows("answers", "v2.0") == [{"n": "1"}, {"n": "many"}]
    assert publication.types("answers", "v1.0") == {"n": "integer"}
    assert publication.types("answers", "v2.0") == {"n": "string"}


@pytest.mark.parametrize("strategy", ["append", "replace"])
@pytest.mark.parametrize("value", ["many", 1.5, True])
def test_a_type_of_the_table_changes_on_request_alone(
    publication: Publication, strategy: str, value: str | float
) -> None:
    """A later upload without a schema takes the table's types; a misfit is refused until a request widens."""
    publication.publish("answers", "a", numbered(1))
    publication.done("POST", f"{publication.dataset()}/versions")
    publication.done("PATCH", publication.table("answers"), {"uploadMergeStrategy": strategy})
    upload = publication.add_upload("answers", "b", numbered(2))
    rows = f"{upload['uri']}/rows"
    for said in ({}, {"updateSchema": False}):
        reason = publication.refused(400, "POST", rows, {"rows": [{"n": value}], **said})
        assert 'variable "n" takes an integer' in reason
    assert publication.types("answers", "next") == {"n": "integer"}
    earlier = numbered(1) if strategy == "append" else []
    assert publication.rows("answers", "next") == earlier + numbered(2)
    publication.done("POST", rows, {"rows": [{"n": value}], "updateSchema": True})
    widened = publication.types("answers", "next")
    assert widened == {"n": "float" if value == 1.5 else "string"}
    assert len(publication.rows("answers", "next")) == len(earlier) + 2
    assert publication.release()["tag"] == "v2.0"


def test_variables_stack_over_versions(publication: Publication) -> None:
    """A later version adds variables at the end; rows before it are null there."""
    publication.publish("answers", "a", [{"x": 1, "y": True}])
    publication.publish("answers", "b", [{"Z": 2.5, "X": 4}])
    assert publication.types("answers", "v1.1") == {"x": "integer", "y": "boolean", "Z": "float"}
    assert publication.rows("answers", "v1.1") == [{"x": 1, "y": True}, {"x": 4, "Z": 2.5}]
    assert publication.types("answers", "v1.0") == {"x": "integer", "y": "boolean"}
    sessions = publication.done("POST", f"{publication.table('answers', 'v1.1')}/readSessions", {})
    assert sessions["numRows"] == 2


def test_sizes_are_exact(publication: Publication) -> None:
    """tableCount and numBytes count what the version shows; totalNumBytes what all versions keep."""
    publication.add_table("other", uploadMergeStrategy="replace")
    publication.add_upload("other", "o", numbered(1, 2, 3))
    publication.publish("answers", "a", numbered(1))
    publication.done("POST", f"{publication.dataset()}/versions")
    publication.add_upload("other", "p", numbered(9))
    publication.publish("answers", "b", numbered(2))

    def sizes(version: str) -> tuple[int, int, int, list[int]]:
        dataset = publication.done("GET", publication.dataset(version))
        tables = publication.done("GET", f"{publication.dataset(version)}/tables")["results"]
        bytes_ = [table["numBytes"] for table in tables]
        assert dataset["numBytes"] == sum(bytes_) > 0
        assert dataset["tableCount"] == len(tables)
        return dataset["tableCount"], dataset["numBytes"], dataset["totalNumBytes"], bytes_

    one, two = sizes("v1.0"), sizes("v1.1")
    assert one[0] == two[0] == 2
    assert one[2] == two[2] == one[3][0] + two[3][0] + two[3][1]  # other twice over, answers appended
    listed = publication.done("GET", "/users/demo/datasets?maxResults=1000")["results"]
    (mine,) = [one for one in listed if one["id"] == publication.created["id"]]
    assert (mine["numBytes"], mine["totalNumBytes"], mine["uri"].endswith(":v1_1")) == (*two[1:3], True)


def _retype(publication: Publication) -> None:
    publication.add_upload("answers", "u", [{"n": "text"}], updateSchema=True)


def _add_rows(publication: Publication) -> None:
    publication.add_upload("answers", "u", numbered(7))


def _add_variable(publication: Publication) -> None:
    publication.add_upload("answers", "u", [{"n": 1, "more": 1}])


def _replace_with(rows: Rows, **said: bool) -> Callable[[Publication], None]:
    def change(publication: Publication) -> None:
        publication.done("PATCH", publication.table("answers"), {"uploadMergeStrategy": "replace"})
        publication.add_upload("answers", "u", rows, **said)

    return change


def _delete_table(publication: Publication) -> None:
    publication.done("DELETE", publication.table("answers"))


def _rename_table(publication: Publication) -> None:
    publication.done("PATCH", publication.table("answers"), {"name": "replies"})


def _add_table(publication: Publication) -> None:
    publication.add_table("more")


def _recreate_table(publication: Publication) -> None:
    _delete_table(publication)
    publication.add_table("answers")
    publication.add_upload("answers", "u", [{"n": 1, "s": "x"}])


@pytest.mark.parametrize(
    ("change", "tag"),
    [
        pytest.param(_add_rows, "v1.1", id="rows added"),
        pytest.param(_add_variable, "v1.1", id="variable added"),
        pytest.param(_add_table, "v1.1", id="table added"),
        pytest.param(_replace_with([{"n": 5, "s": "y"}]), "v1.1", id="rows replaced"),
        pytest.param(_replace_with([{"N": 5, "S": "y"}]), "v1.1", id="variable spelled in another case"),
        pytest.param(_retype, "v2.0", id="variable widened"),
        pytest.param(
            _replace_with([{"n": 5.5, "s": "y"}], updateSchema=True), "v2.0", id="variable of another type"
        ),
        pytest.param(_replace_with([{"n": 5}]), "v2.0", id="variable deleted"),
        pytest.param(_replace_with([{"n": 5, "t": "y"}]), "v2.0", id="variable renamed"),
        pytest.param(_delete_table, "v2.0", id="table deleted"),
        pytest.param(_rename_table, "v2.0", id="table renamed"),
        pytest.param(_recreate_table, "v2.0", id="table deleted and another of its name created"),
    ],
)
def test_tags(publication: Publication, change: Callable[[Publication], None], tag: str) -> None:
    """What could break a reader of the version before makes a major version, all else a minor one."""
    publication.add_table("beside")
    publication.publish("answers", "first", [{"n": 1, "s": "x"}])
    publication.done("POST", f"{publication.dataset()}/versions")
    change(publication)
    assert publication.release()["tag"] == tag
    publication.done("POST", f"{publication.dataset()}/versions")
    publication.add_upload("beside", "b", numbered(1))
    major, minor = tag.removeprefix("v").split(".")
    assert publication.release()["tag"] == f"v{major}.{int(minor) + 1}"


def test_a_table_deleted_from_the_next_version(publication: Publication) -> None:
    """It stays in the versions before, and a table of its name that comes later is another one."""
    publication.publish("answers", "a", numbered(1))
    before = publication.everything("v1.0")
    publication.done("POST", f"{publication.dataset()}/versions")
    assert publication.done("DELETE", publication.table("answers")) is None
    publication.refused(404, "GET", publication.table("answers"))
    publication.publish("answers", "a", numbered(2))
    assert publication.everything("v1.0") == before
    assert publication.rows("answers", "v2.0") == numbered(2)
    ids = [publication.done("GET", publication.table("answers", tag))["id"] for tag in ("v1.0", "v2.0")]
    assert len(set(ids)) == 2
