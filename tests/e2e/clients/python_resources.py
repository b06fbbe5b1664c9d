"""Datasets, tables and variables as one version of the Python client makes and sees them."""

import redivis
from python_client import Cycle, Facts, has, names, refusal, types


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
