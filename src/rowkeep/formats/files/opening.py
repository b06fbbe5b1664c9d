"""The door of this room: a file goes in, a table of Arrow batches comes out.

Every reader works in a jailed process: it reads the one file, writes to its scratch folder, and knows nothing
of the server. Whatever the size of a file, a reader holds a bounded part of it.
"""

from collections.abc import Callable
from pathlib import Path

from rowkeep.formats.files.avro import open_avro
from rowkeep.formats.files.columnar import open_orc, open_parquet
from rowkeep.formats.files.delimited import open_delimited
from rowkeep.formats.files.detection import file_type
from rowkeep.formats.files.geojson import open_geojson
from rowkeep.formats.files.geospatial import open_kml, open_shapefile
from rowkeep.formats.files.json_records import open_json
from rowkeep.formats.files.spreadsheet import open_spreadsheet
from rowkeep.formats.files.statistical import open_statistical
from rowkeep.formats.files.table import FileTable, Source
from rowkeep.model.files import FileOptions, FileType

_READERS: dict[FileType, Callable[[Source], FileTable]] = {
    FileType.DELIMITED: open_delimited,
    FileType.NDJSON: open_json,
    FileType.JSON: open_json,
    FileType.GEOJSON: open_geojson,
    FileType.GEOJSONL: open_geojson,
    FileType.SHP_ZIP: open_shapefile,
    FileType.KML: open_kml,
    FileType.PARQUET: open_parquet,
    FileType.ORC: open_orc,
    FileType.AVRO: open_avro,
    FileType.DTA: open_statistical,
    FileType.SAV: open_statistical,
    FileType.SAS7BDAT: open_statistical,
    FileType.XLS: open_spreadsheet,
    FileType.XLSX: open_spreadsheet,
}


def open_file(path: Path, options: FileOptions, scratch: Path) -> FileTable:
    """The table that a file holds. `scratch` is an empty folder that is removed after the batches were read.

    Raises invalid_request_error for a file that is not what it should be, RecordsRefused for bad records.
    """
    type_ = file_type(path, options)
    return _READERS[type_](Source(path, type_, options, scratch))
