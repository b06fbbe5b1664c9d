"""What one version of the Python client makes of refusals, and what it may without a token."""

import os

import redivis
from python_client import Cycle, Facts, refusal


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


def anonymous(cycle: Cycle) -> Facts:
    """Public data without a token: today's client tries that first. It comes last, for the token is gone."""
    dataset = cycle.dataset("Public").create(public_access_level="data")
    table = dataset.table("t").create()
    table.upload("u").create(type="stream", schema=cycle.schema).insert_rows(cycle.rows)
    reference = dataset.release().qualified_reference
    del os.environ["REDIVIS_API_TOKEN"]
    table = redivis.table(f"{reference}.t")
    return {
        "exists": [table.exists(), redivis.dataset(reference).exists()],
        "rows": table.to_arrow_table(progress=False).num_rows,
        "batchRows": sum(batch.num_rows for batch in table.to_arrow_batch_iterator(progress=False)),
    }
