"""Versions of a dataset as one version of the Python client releases and reads them."""

from typing import Any

import redivis
from python_client import Cycle, Facts, has, refusal, takes, widen


def released(cycle: Cycle) -> Facts:
    """Versions: released, read, continued, taken back, deleted."""
    dataset = cycle.dataset("Released").create()
    table = dataset.table("t").create(upload_merge_strategy="append")
    table.upload("u").create(type="stream", schema=[{"name": "n", "type": "integer"}])
    table.upload("u").insert_rows([{"n": 1}, {"n": 2}])
    facts: Facts = {"nextExists": refusal(dataset.create_next_version)}
    dataset.release()
    facts["first"] = dataset.properties["version"]["tag"]
    facts["noNext"] = dataset.properties["nextVersion"]
    facts["writeRefused"] = refusal(lambda: dataset.table("t").upload("v").create(type="stream"))
    following = dataset.create_next_version()
    facts["nextAgain"] = [
        refusal(cycle.dataset("Released").create_next_version) is None,
        cycle.dataset("Released").create_next_version(if_not_exists=True).properties["version"]["tag"],
    ]
    second = following.table("t").upload("second").create(type="stream")
    second.insert_rows([{"n": 3, "extra": "x"}], **widen(second))
    facts["numbers"] = {tag: sorted(numbers(cycle, tag)) for tag in ("current", "v1.0", "next")}
    facts["tags"] = sorted(version.tag for version in dataset.list_versions())
    following.release(**({"release_notes": "more"} if takes(following.release, "release_notes") else {}))
    facts["second"] = following.properties["version"]["tag"]
    facts["numbersOfSecond"] = {tag: sorted(numbers(cycle, tag)) for tag in ("v1_0", "v1.1", "current")}
    facts["versions"] = versions_of(following)
    facts["unreleased"] = following.unrelease().properties["version"]["tag"]
    facts["current"] = cycle.dataset("Released").get().properties["version"]["tag"]
    facts["exists"] = [dataset.version(tag).exists() for tag in ("v1.0", "v1.1", "next", "v7.0")]
    facts["deletion"] = deletion(dataset.version("v1.0"))
    cycle.dataset("Released").delete()
    facts["existsAfter"] = [cycle.dataset("Released").exists(), dataset.exists()]
    return facts


def numbers(cycle: Cycle, tag: str) -> list[int]:
    """Column n of the table in a version."""
    name = cycle.dataset("Released").name
    dataset = redivis.user(cycle.owner).dataset(name, version=tag)
    return dataset.table("t").to_arrow_table(progress=False)["n"].to_pylist()


def versions_of(dataset: Any) -> Facts:
    """What the client tells of the versions of a dataset at v1.1."""
    first, second = dataset.version("v1.0").get(), dataset.version("1.1").get()
    following, previous = first.next_version(), second.previous_version()
    facts: Facts = {
        "next": following.tag,
        "previous": previous.tag,
        "last": second.next_version(),
        "notes": second.properties["releaseNotes"],
        "updated": None,
    }
    if has(second, "update"):
        second.update(label="spring", release_notes="other")
        facts["updated"] = [second.get().properties[key] for key in ("label", "releaseNotes")]
    return facts


def deletion(version: Any) -> Facts:
    """A released version, deleted and brought back where the client can."""
    version.get().delete()
    facts: Facts = {"deleted": version.properties["isDeleted"], "undeleted": None}
    if has(version, "undelete"):
        version.undelete()
        facts["undeleted"] = version.get().properties["isDeleted"]
    return facts
