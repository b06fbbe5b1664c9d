"""Drives one version of the Python client through its whole cycle and tells what it saw.

Run by tests/e2e/test_python_clients.py with the Python that has the client; of the project it imports only
its neighbour. On stdin comes a JSON object: `owner`, `organization`, `sections`, `schema`, `rows` (of all
types) and `readerToken` (which may read but not edit). For each section it prints a line `facts:
{"section":, "facts":}`. The versions differ in what they offer; `has` asks the client itself, and a fact
that it cannot give is null.
"""

import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import python_reading
import redivis

Facts = dict[str, Any]
# 0.15 and 0.18 raise bare Exceptions.
REFUSALS = redivis.exceptions.RedivisError if hasattr(redivis, "exceptions") else Exception


@dataclass(frozen=True)
class Cycle:
    """What the test gives."""

    owner: str
    organization: str
    schema: list[dict[str, str]]
    rows: list[dict[str, Any]]
    readerToken: str  # noqa: N815 - as it comes

    def dataset(self, name: str) -> Any:
        """A dataset of this version's own, which need not exist."""
        return redivis.user(self.owner).dataset(f"{name} of {redivis.__version__.replace('.', '-')}")


def has(thing: Any, name: str) -> bool:
    """Whether this version of the client can do that."""
    return hasattr(thing, name)


def refusal(call: Callable[[], Any]) -> Facts | None:
    """How the client reports that the call was refused; None when it was not."""
    try:
        call()
    except REFUSALS as error:
        if error.args and isinstance(error.args[0], dict):
            told = error.args[0]
            return {"kind": "dict", "status": told["status"], "text": told["error_description"]}
        status = getattr(error, "status_code", None)
        return {"kind": type(error).__name__, "status": status, "text": str(error)}
    return None


def names(things: list[Any]) -> list[str]:
    """The names of what was listed."""
    return [thing.name for thing in things]


def current(cycle: Cycle) -> Facts:
    """Who calls."""
    user = redivis.current_user().name if has(redivis, "current_user") else None
    return {"version": redivis.__version__, "user": user}


def datasets(cycle: Cycle) -> Facts:
    """A dataset from its creation to its end."""
    dataset = cycle.dataset("Datasets, first")
    facts: Facts = {"existedBefore": dataset.exists()}
    facts["getBefore"] = refusal(dataset.get)
    dataset.create(description="about it")
    facts["created"] = {key: dataset.properties[key] for key in ("name", "description", "publicAccessLevel")}
    facts["createdAgain"] = refusal(cycle.dataset("DATASETS first").create)
    facts["exists"] = dataset.exists()
    facts["existsByReference"] = redivis.user(cycle.owner).dataset(dataset.scoped_reference).exists()
    facts["listed"] = dataset.name in names(redivis.user(cycle.owner).list_datasets())
    facts["listedAtMost"] = len(redivis.user(cycle.owner).list_datasets(max_results=1))
    dataset.update(description="more of it", public_access_level="overview", labels=["b", "c"])
    dataset.add_labels(["a"])
    dataset.remove_labels(["b"])
    dataset.get()
    facts["updated"] = {key: dataset.properties[key] for key in ("description", "publicAccessLevel")}
    facts["labels"] = sorted(dataset.properties["labels"])
    reference = dataset.scoped_reference
    dataset.update(name="Renamed " + redivis.__version__.replace(".", "-"))
    facts["existsByOldReference"] = redivis.user(cycle.owner).dataset(reference).exists()
    dataset.delete()
    facts["existsAfter"] = dataset.exists()
    facts["getAfter"] = refusal(dataset.get)
    return facts


def owners(cycle: Cycle) -> Facts:
    """Datasets of an organization, and references that do not say whether the owner is one."""
    organization = redivis.organization(cycle.organization)
    dataset = organization.dataset("of the organization " + redivis.__version__.replace(".", "-")).create()
    facts: Facts = {
        "exists": dataset.exists(),
        "listed": dataset.name in names(organization.list_datasets()),
        "organizations": None,
        "unkinded": None,
    }
    if has(organization, "exists"):
        facts["organizations"] = [
            redivis.organization(name).exists() for name in (cycle.organization, cycle.owner, "nobody_here")
        ]
    if has(redivis, "dataset"):
        found = redivis.dataset(f"{cycle.organization}.{dataset.scoped_reference}").get()
        made = redivis.dataset(f"{cycle.owner}.unkinded_{redivis.__version__.replace('.', '_')}").create()
        facts["unkinded"] = [found.user is None, made.organization is None]
        made.delete()
    dataset.delete()
    return facts


def tables(cycle: Cycle) -> Facts:
    """A table from its creation to its end."""
    dataset = cycle.dataset("Tables").create()
    table = dataset.table("A table, of sorts")
    facts: Facts = {"existedBefore": table.exists()}
    table.create(description="sorts", upload_merge_strategy="replace")
    table.get()
    keys = ("name", "description", "uploadMergeStrategy", "numRows", "numBytes")
    facts["created"] = {key: table.properties[key] for key in keys}
    facts["container"] = table.properties["container"]["kind"]
    facts["createdAgain"] = refusal(dataset.table("a TABLE of sorts").create)
    facts["exists"] = [table.exists(), dataset.table("a_table_of_sorts").exists()]
    dataset.table("Second").create()
    facts["listed"] = sorted(names(dataset.list_tables()))
    table.update(name="Renamed", description="other", upload_merge_strategy="append")
    table.get()
    facts["updated"] = {key: table.properties[key] for key in keys[:3]}
    table.delete()
    facts["existsAfter"] = table.exists()
    facts["getAfter"] = refusal(table.get)
    facts["listedAfter"] = names(dataset.list_tables())
    dataset.delete()
    return facts


def stream(cycle: Cycle) -> Facts:
    """Streams with a declared schema: created, filled, listed, replaced, deleted."""
    dataset = cycle.dataset("Stream").create()
    table = dataset.table("t").create()
    upload = table.upload("in/out v1.2")
    facts: Facts = {"existedBefore": upload.exists()}
    upload.create(type="stream", schema=cycle.schema)
    facts["exists"] = [upload.exists(), table.upload("in/out v1.2").exists()]
    facts["receipt"] = upload.insert_rows(cycle.rows)
    facts["refused"] = refusal(lambda: upload.insert_rows([{}, {"count": "many"}]))
    facts["refusedNaN"] = refusal(lambda: upload.insert_rows([{"temperature": float("nan")}]))
    upload.get()
    facts["got"] = {key: upload.properties[key] for key in ("name", "type", "status", "numRows")}
    facts["tableRows"] = table.get().properties["numRows"]
    facts["listed"] = names(table.list_uploads())
    facts["createdAgain"] = refusal(lambda: table.upload("in/out v1.2").create(type="stream"))
    table.upload("in/out v1.2").create(type="stream", if_not_exists=True)
    renamed = table.upload("in/out v1.2").create(type="stream", rename_on_conflict=True)
    facts["renamed"] = renamed.properties["name"] != "in/out v1.2"
    table.upload("in/out v1.2").create(type="stream", schema=cycle.schema, replace_on_conflict=True)
    facts["tableRowsReplaced"] = table.get().properties["numRows"]
    renamed.delete()
    facts["existsAfter"] = renamed.exists()
    dataset.delete()
    return facts


def widening(cycle: Cycle) -> Facts:
    """Streams without a schema, and rows that widen a declared one where the version can ask for it."""
    dataset = cycle.dataset("Widening").create()
    table = dataset.table("t").create()
    free = table.upload("free").create(type="stream")
    facts: Facts = {"freeFirst": free.insert_rows([{"site": "a", "extra": 1}], **widen(free, "yes"))}
    facts["freeSecond"] = free.insert_rows([{"extra": 1.5, "note": True}], **widen(free, "yes"))
    facts["freeTypes"] = types(free)
    facts["freeRows"] = free.to_arrow_table(progress=False).to_pylist()
    typed_schema = [{"name": "var1", "type": "integer"}, {"name": "var2", "type": "string"}]
    typed = table.upload("typed").create(type="stream", schema=typed_schema)
    facts["typedRefused"] = refusal(lambda: typed.insert_rows([{"var1": "a"}]))
    facts["typedUnknown"] = refusal(lambda: typed.insert_rows([{"var3": 1}]))
    facts["typed"] = None
    if widen(typed, "yes"):
        batches: list[list[dict[str, Any]]] = [
            [{"var1": 1, "var2": "a"}],
            [{"var1": "a", "var2": 1}],
            [{"var1": 1.2, "var2": 1.2}],
            [{"var2": "2020-01-01"}, {"var2": "2020-01-01T00:00:00", "var3": None}],
            [{"var3": 2}],
        ]
        facts["typed"] = [typed.insert_rows(rows, update_schema=True)["schemaUpdates"] for rows in batches]
        facts["typedTypes"] = types(typed)
        facts["typedRows"] = typed.to_arrow_table(progress=False).to_pylist()
    dataset.delete()
    return facts


def widen(upload: Any, answer: str) -> Facts:
    """The argument `update_schema`, in the versions that have it."""
    code = type(upload).insert_rows.__code__
    arguments = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    return {"update_schema": answer == "yes"} if "update_schema" in arguments else {}


def types(parent: Any) -> list[list[str]]:
    """Name and type of each variable."""
    return [[variable.name, variable.properties["type"]] for variable in parent.list_variables()]


def variables(cycle: Cycle) -> Facts:
    """Variables: listed, described, counted."""
    dataset = cycle.dataset("Variables").create()
    table = dataset.table("t").create()
    upload = table.upload("u").create(type="stream", schema=cycle.schema)
    upload.insert_rows(cycle.rows)
    facts: Facts = {"table": types(table), "upload": types(upload)}
    facts["exists"] = [table.variable(name).exists() for name in ("site", "SITE", "nowhere")]
    facts["uploadExists"] = upload.variable("site").exists()
    site = table.variable("site")
    site.update(label="Where", description="place", value_labels=[{"value": "a", "label": "A"}])
    facts["described"] = {
        key: site.properties[key] for key in ("name", "label", "description", "valueLabels")
    }
    facts["got"] = {key: table.variable("site").get().properties[key] for key in ("type", "label")}
    site.update(value_labels={"b": "B"})
    facts["valueLabelsOfMap"] = table.variable("site").get().properties["valueLabels"]
    facts["unknown"] = refusal(table.variable("nowhere").get)
    facts["bulk"] = facts["bulkUnknown"] = None
    if has(table, "update_variables"):
        table.update_variables([{"name": "count", "label": "How many"}, {"name": "day", "label": "When"}])
        dataset.update_variables([{"name": "valid", "label": "Good"}])
        facts["bulk"] = [table.variable(name).get().properties["label"] for name in ("count", "day", "valid")]
        facts["bulkUnknown"] = refusal(lambda: table.update_variables([{"name": "nowhere", "label": "x"}]))
    facts["statistics"] = None
    if has(site, "get_statistics"):
        counted = [table.variable("count").get_statistics(), upload.variable("count").get_statistics()]
        keys = ("status", "count", "numDistinct", "min", "max")
        facts["statistics"] = [{key: told[key] for key in keys} for told in counted]
    dataset.delete()
    return facts


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
    second.insert_rows([{"n": 3, "extra": "x"}], **widen(second, "yes"))
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


def takes(function: Any, argument: str) -> bool:
    """Whether this version's function has that argument."""
    return argument in function.__code__.co_varnames


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


def errors(cycle: Cycle) -> Facts:
    """What the client makes of refusals of each kind."""
    dataset = cycle.dataset("Errors").create()
    table = dataset.table("t").create()
    upload = table.upload("u").create(type="stream", schema=[{"name": "n", "type": "integer"}])
    facts: Facts = {
        "notFound": refusal(dataset.table("nowhere").get),
        "notFoundOwner": refusal(redivis.user("nobody_here").list_datasets),
        "invalid": refusal(
            lambda: table.upload("bad").create(type="stream", schema=[{"name": "1a", "type": "x"}])
        ),
    }
    upload.insert_rows([{}])
    released_table = dataset.release().table("t")
    token = os.environ["REDIVIS_API_TOKEN"]
    os.environ["REDIVIS_API_TOKEN"] = cycle.readerToken
    facts["scope"] = refusal(dataset.create_next_version)
    facts["scopeReads"] = released_table.to_arrow_table(progress=False).num_rows
    os.environ["REDIVIS_API_TOKEN"] = "nobody's"
    facts["token"] = refusal(lambda: upload.insert_rows([{}]))
    facts["tokenExists"] = refusal(table.exists)
    os.environ["REDIVIS_API_TOKEN"] = token
    dataset.delete()
    return facts


def reading(cycle: Cycle) -> Facts:
    """Rows read back in every form that the version offers."""
    dataset = cycle.dataset("Reading").create()
    table = dataset.table("t").create()
    upload = table.upload("u").create(type="stream", schema=cycle.schema)
    parents = {"table": table, "upload": upload}
    facts: Facts = {"empty": {kind: python_reading.emptiness(parent) for kind, parent in parents.items()}}
    upload.insert_rows(cycle.rows)
    facts["timeRefused"] = python_reading.time_refusal(upload)
    every = [item["name"] for item in cycle.schema if not facts["timeRefused"] or item["type"] != "time"]
    facts["columns"] = every
    for kind, parent in parents.items():
        facts[kind] = python_reading.readings(parent, every)
    second_schema = [{"name": "extra", "type": "date"}, {"name": "count", "type": "integer"}]
    second = table.upload("second").create(type="stream", schema=second_schema)
    second.insert_rows([{"extra": "2020-01-01", "count": number} for number in range(1000)])
    facts["stacked"] = python_reading.stacked(table, ["extra", "site", "count"])
    facts["order"] = python_reading.orders(second, "count")
    dataset.delete()
    return facts


SECTIONS = (current, datasets, owners, tables, stream, widening, variables, reading, released, errors)


def main() -> None:
    """Runs the sections that were asked for, in order."""
    given = json.load(sys.stdin)
    wanted = given.pop("sections")
    cycle = Cycle(**given)
    for section in SECTIONS:
        if section.__name__ in wanted:
            line = json.dumps({"section": section.__name__, "facts": section(cycle)})
            sys.stdout.write(f"\nfacts: {line}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
