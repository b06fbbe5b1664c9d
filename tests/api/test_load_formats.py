"""Files of every type through a real worker: its jail leaves each library what it needs."""

from collections.abc import Iterator

import pytest

from tests.api.loading import load
from tests.api.publishing import Publication
from tests.corpus.all_cases import CASES
from tests.corpus.case import Refused, Table
from tests.server_process import ServerProcess

# One of each family, and those whose library looks for files of its own: encodings, zones, coordinates.
TRIED = (
    "csv-quoted-newline",
    "csv-cp1252",
    "csv-too-long",
    "gzip-truncated",
    "ndjson-times",
    "json-array",
    "parquet-timestamp-zone",
    "parquet-uuid",
    "geoparquet",
    "orc-old-dates",
    "avro-decimal",
    "avro-deflate",
    "xlsx-dates-and-date-times",
    "xlsx-far-cell",
    "dta-labels",
    "dta-old-utf-8",
    "sav-compressed",
    "geojson-kinds",
    "shp-plain",
    "shp-nad83",
    "shp-other-system",
    "shp-no-index",
    "kml-time",
)


@pytest.fixture(scope="module")
def made(server: ServerProcess) -> Iterator[Publication]:
    """A dataset for the tables of this file."""
    publication = Publication(server)
    yield publication
    publication.close()


@pytest.mark.parametrize("name", TRIED)
def test_a_file_is_loaded_in_a_jail(name: str, made: Publication) -> None:
    """What comes of a file in a worker is what comes of it without its walls."""
    [case] = [case for case in CASES if case.name.partition("/")[0] == name or case.name == name]
    table = made.add_table(name.replace("-", "_"))
    upload = load(made, name.replace("-", "_"), case.bytes(), name=case.file_name)
    if isinstance(case.expected, Refused):
        assert upload["status"] == "failed"
        assert case.expected.message in upload["errorMessage"]
        return
    assert isinstance(case.expected, Table)
    assert (upload["status"], upload["errorMessage"]) == ("completed", None), table
    rows = case.expected.rows
    assert upload["numRows"] == (rows if isinstance(rows, int) else len(rows))
    assert made.types(name.replace("-", "_"), "next") == dict(case.expected.types)
