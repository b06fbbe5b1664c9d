"""Drives the queries of one version of the Python client and tells what it saw.

Run by tests/e2e/test_query_clients.py. On stdin comes a JSON object: `owner`, and `dataset` and `table`, the
names of a data set that is not released and its table. It prints a line `facts: {"section":, "facts":}`.
"""

import json
import sys
from typing import Any

import redivis
from python_client import refusal
from python_reading import plain, rows_of

# As the client's own tests ask (tests/test_query.py of its source).
TYPES = """
    SELECT 1 AS int, 1.1 AS float, 'asfd' AS string, TRUE AS bool, CAST('2020-01-01' AS DATE) date,
        CAST('2020-01-01 12:00:00' AS DATETIME) date_time, CAST('01:00:00' AS TIME) time
    UNION ALL
    SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL
"""
SUM = "SELECT 1 + 1 AS some_number, 'foo' AS some_string UNION ALL SELECT 4, 'bar'"
EMPTY = "SELECT * FROM (SELECT 1 + 1 AS val) sub WHERE FALSE"


def frame(query: Any, **options: Any) -> list[list[Any]]:
    """A query's rows over pandas, with its columns first."""
    read = query.to_pandas_dataframe(progress=False, **options)
    return [list(read.columns), *([plain(cell) for cell in row] for row in read.values.tolist())]


def main() -> None:
    """Asks all that the client's own tests ask, and what they expect to fail."""
    given = json.load(sys.stdin)
    dataset = redivis.user(given["owner"]).dataset(given["dataset"], version="next")
    reference = f"{given['owner']}.{given['dataset']}:next.{given['table']}"
    whole = redivis.query(f"SELECT * EXCEPT(_upload_name) FROM `{reference}` LIMIT 100")
    scoped = dataset.query(f"SELECT * FROM `{given['table']}` LIMIT 100")
    types = redivis.query(TYPES)
    facts = {
        "global": rows_of(whole.to_arrow_table(progress=False)),
        "scoped": scoped.to_arrow_table(progress=False).column_names[-1],
        "sum": frame(redivis.query(SUM)),
        "empty": frame(redivis.query(EMPTY), max_results=0),
        "underscore": frame(redivis.query("SELECT 1 + 1 AS _val")),
        "types": [str(field.type) for field in types.to_arrow_table(progress=False).schema],
        "variables": [[each.name, each.properties["type"]] for each in types.list_variables()],
        "refused": refusal(lambda: redivis.query("SELECT nope").to_pandas_dataframe(progress=False)),
    }
    sys.stdout.write(f"\nfacts: {json.dumps({'section': 'query', 'facts': facts})}\n")


if __name__ == "__main__":
    main()
