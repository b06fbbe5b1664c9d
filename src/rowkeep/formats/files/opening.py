"""Opens a file as a table of Arrow batches, with the reader of its type.

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
    """Returns a shapefile or a KML file as a table.

    The module that knows GDAL is imported only here. With GDAL the library of coordinate systems opens its
    database, and a process that was forked since would close it by its descriptor's number, whatever has that
    number by then.
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
    """Returns the table that a file holds.

    `scratch` is an empty folder, to be removed after the batches were read.

    `report` is called with the progress of the look at all values, where that is known. Raises
    invalid_request_error for a faulty file, RecordsRefused for bad records.
    """
    type_ = file_type(path, options)
    return _READERS[type_](Source(path, type_, options, scratch, report))
