"""Streams as one version of the Python client makes, fills and widens them."""

from typing import Any

from python_client import Cycle, Facts, names, refusal, types, widen


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
    facts: Facts = {"freeFirst": free.insert_rows([{"site": "a", "extra": 1}], **widen(free))}
    facts["freeSecond"] = free.insert_rows([{"extra": 1.5, "note": True}], **widen(free))
    facts["freeTypes"] = types(free)
    facts["freeRows"] = free.to_arrow_table(progress=False).to_pylist()
    typed_schema = [{"name": "var1", "type": "integer"}, {"name": "var2", "type": "string"}]
    typed = table.upload("typed").create(type="stream", schema=typed_schema)
    facts["typedRefused"] = refusal(lambda: typed.insert_rows([{"var1": "a"}]))
    facts["typedUnknown"] = refusal(lambda: typed.insert_rows([{"var3": 1}]))
    facts["typed"] = None
    if widen(typed):
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
