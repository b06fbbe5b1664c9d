"""The door of this room: a file goes in, a table of Arrow batches comes out.

Every reader works in a jailed process: it reads the one file, writes to its scratch folder, and knows nothing
of the server. Whatever the size of a file, a reader holds a bounded part of it.
"""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from rowkeep.formats.files.avro import open_avro
from rowkeep.formats.files.columnar import open_orc, open_parquet
from rowkeep.formats.files.delimited import open_delimited
from rowkeep.formats.files.detection import file_type
from rowkeep.formats.files.geojson import open_geojson
from rowkeep.formats.files.json_records import open_json
from rowkeep.formats.files.spreadsheet import open_spreadsheet
from rowkeep.formats.files.statistical import open_statistical
from rowkeep.formats.files.table import FileTable, Report, Source, nobody
from rowkeep.model.files import FileOptions, FileType

_GEOSPATIAL = "rowkeep.formats.files.geospatial"


def _open_with_gdal(source: Source) -> FileTable:
    """A shapefile or a KML file as a table.

    What knows GDAL is loaded here and not with the others: with it the library of coordinate systems opens
    its database, and closes it by number in a process that was forked since, whatever that number is by then.
    """
    opened: FileTable = import_module(_GEOSPATIAL).open_geospatial(source)
    return opened


_READERS: dict[FileType, Callable[[Source], FileTable]] = {
    FileType.DELIMITED: open_delimited,
    FileType.NDJSON: open_json,
    FileType.JSON: open_json,
    FileType.GEOJSON: open_geojson,
    FileType.GEOJSONL: open_geojson,
    FileType.SHP_ZIP: _open_with_gdal,
    FileType.KML: _open_with_gdal,
    FileType.PARQUET: open_parquet,
    FileType.ORC: open_orc,
    FileType.AVRO: open_avro,
    FileType.DTA: open_statistical,
    FileType.SAV: open_statistical,
    FileType.SAS7BDAT: open_statistical,
    FileType.XLS: open_spreadsheet,
    FileType.XLSX: open_spreadsheet,
}


def open_file(path: Path, options: FileOptions, scratch: Path, report: Report = nobody) -> FileTable:
    """The table that a file holds. `scratch` is an empty folder that is removed after the batches were read.

    `report` is told how far the look at all values is, which the types need, where that is known.

    Raises invalid_request_error for a file that is not what it should be, RecordsRefused for bad records.
    """
    type_ = file_type(path, options)
    return _READERS[type_](Source(path, type_, options, scratch, report))
