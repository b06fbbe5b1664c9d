"""Tables of the client's own service that its tests read, under the same names and ids, with rows made up."""

import sqlite3

import pyarrow as pa
import pyarrow.compute as pc

from tests.api.loading import parquet_of
from tests.api.publishing import Publication
from tests.server_process import ServerProcess, wait_until

# One of the tests reads the first million rows.
ROWS = 1_000_100
MEDICARE, PHYSICIANS = "cms_2014_medicare_data", "physicians_and_other_supplier"
IDS = {"datasets": (MEDICARE, "349j"), "tables": (PHYSICIANS, "kn00")}


def publish_stand_ins(server: ServerProcess) -> None:
    """Publishes them; the server is started anew for the ids, which are its own to give."""
    made = Publication(server)
    days = pa.array(range(ROWS), pa.int32())
    _publish(made, server, "ghcn_daily_weather_data", "daily_observations", parquet_of(day=days))
    amounts = pc.divide(pa.array(range(40_000), pa.float64()), 7.0)
    file = parquet_of(npi=pa.array(range(40_000)), average_submitted_chrg_amt=amounts)
    _publish(made, server, MEDICARE, PHYSICIANS, file)
    made.close()
    port = int(server.url.split(":")[2].split("/")[0])
    assert server.stop() == 0
    with sqlite3.connect(server.data_dir / "rowkeep.db") as database:
        for table, (name, identifier) in IDS.items():
            change = "reference_id = :id, identifier = :id || substr(identifier, 5)"
            found = database.execute(
                f"UPDATE {table} SET {change} WHERE name = :name", {"id": identifier, "name": name}
            )
            assert found.rowcount > 0
    database.close()
    server.start(port)


def _publish(made: Publication, server: ServerProcess, dataset: str, table: str, file: bytes) -> None:
    reference = f"{server.user}.{dataset}"
    made.done("POST", f"/users/{server.user}/datasets", {"name": dataset, "publicAccessLevel": "data"})
    made.done("POST", f"/datasets/{reference}:next/tables", {"name": table})
    sent = made.done("POST", f"/tables/{reference}:next.{table}/tempUploads", {"tempUploads": [{}]})
    identifier = sent["results"][0]["id"]
    made.client.put(f"/tempUploads/{identifier}", content=file).raise_for_status()
    body = {"name": "rows.parquet", "tempUploadId": identifier}
    upload = made.done("POST", f"/tables/{reference}:next.{table}/uploads", body)
    wait_until(lambda: made.done("GET", upload["uri"])["status"] == "completed")
    made.done("POST", f"/datasets/{reference}/versions/next/release")
