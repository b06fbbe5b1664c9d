"""Shapefiles and KML. The only file that knows pyogrio, and through it GDAL.

GDAL looks into a file for any format that it knows, and some of those name other files or addresses to read.
So each file is first looked at here: a shapefile by its first bytes, KML by its outermost element and for
words of such documents; and what GDAL takes it for is checked before a feature is read.

Geometries become WKT in longitude and latitude. A file in another coordinate system is refused: to convert it
needs grids and a choice of method, which is its owner's. Of KML, all folders are one table.
"""

import re
import warnings as python_warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyogrio

from rowkeep.formats.files.cell_table import CellRows, CellTable, Place
from rowkeep.formats.files.shapefile_parts import laid_out
from rowkeep.formats.files.table import BadRecords, Column, FileTable, Source, unreadable
from rowkeep.model.errors import invalid_request
from rowkeep.model.files import BadRecord, Detected, FileType, shortened
from rowkeep.model.geography import LATITUDE_MAX, LONGITUDE_MAX, wkt_of_wkb
from rowkeep.model.types import VariableType

GEOMETRY = "geometry"
_HEAD_BYTES = 64 * 1024
_BATCH_ROWS = 5_000
_REASON_CHARACTERS_MAX = 200
_SAME_SYSTEMS = {"EPSG:4326", "OGC:CRS84", "EPSG:4979"}
# They differ from WGS 84 by less than two metres.
_NEARLY_SAME_SYSTEMS = {"EPSG:4269": "NAD83", "EPSG:4258": "ETRS89"}
_is_wgs84 = re.compile(r'^GEOGC(?:S|RS)\["[^"]*WGS[ _]?(?:19)?84').match
# Nothing but a declaration, instructions and comments stands before the outermost element.
_begins_as_kml = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*(?:<\?[^>]*+>\s*|<!--(?:[^-]|-(?!->))*+-->\s*)*+<(?:\w+:)?kml[\s>]"
).match
_is_foreign = re.compile(rb"<!DOCTYPE|<!ENTITY|<OGR\w+", re.IGNORECASE).search
_OVERLAP_BYTES = 32
_DRIVERS = {FileType.SHP_ZIP: "ESRI Shapefile", FileType.KML: "LIBKML"}
# Of KML: how a map shows a place, which is nothing of the place itself.
_DISPLAYED = {"altitudeMode", "tessellate", "extrude", "visibility", "drawOrder", "icon", "snippet"}
# What GDAL makes a column of whether or not the file has it.
_STANDARD = ("id", "description", "timestamp", "begin", "end")
_LANGUAGE_DRIVER_OFFSET = 29  # in a .dbf file: which encoding it has, 0 where that is not said
_USUAL_ENCODING = "CP1252"


def open_geospatial(source: Source) -> FileTable:
    """Returns a file that GDAL reads as a table.

    Raises invalid_request_error, RecordsRefused for bad records.
    """
    return open_kml(source) if source.type is FileType.KML else open_shapefile(source)


def open_shapefile(source: Source) -> FileTable:
    """Returns a zipped shapefile as a table. Raises invalid_request_error, RecordsRefused for bad records."""
    path = laid_out(source)
    reading = _Reading(source, path, _dbf_encoding(source, path))
    if not path.with_suffix(".prj").exists():
        reading.check_degrees()
    return reading.table()


def open_kml(source: Source) -> FileTable:
    """Returns a KML file as a table. Raises invalid_request_error, RecordsRefused for bad records."""
    _check_kml(source)
    return _Reading(source, source.path, None).table()


def _check_kml(source: Source) -> None:
    """Raises invalid_request_error for a file that is not KML, or that holds something else too."""
    rest = b""
    with source.path.open("rb") as file:
        while block := file.read(_HEAD_BYTES):
            if found := _is_foreign(rest + block):
                raise unreadable(source, f"it holds {found[0].decode()!r}, as no KML does.")
            if not rest and not _begins_as_kml(block):
                raise unreadable(source, "it is no KML document.")
            rest = block[-_OVERLAP_BYTES:]
    if not rest:
        raise unreadable(source, "it is empty.")


def _dbf_encoding(source: Source, path: Path) -> str | None:
    """Returns the encoding of the texts. None where the file says it."""
    if source.options.encoding is not None:
        return source.options.encoding
    dbf = path.with_suffix(".dbf")
    if path.with_suffix(".cpg").exists() or not dbf.exists():
        return None
    with dbf.open("rb") as file:
        header = file.read(_LANGUAGE_DRIVER_OFFSET + 1)
    return _USUAL_ENCODING if header[_LANGUAGE_DRIVER_OFFSET:] == b"\x00" else None


class _Layer(msgspec.Struct, frozen=True):
    """One layer, and the positions of its columns in the table."""

    name: str
    positions: tuple[int, ...]
    geometry: str | None


class _Reading:
    """Reads the features of all layers. It can be asked again."""

    def __init__(self, source: Source, path: Path, encoding: str | None) -> None:
        self.bad = BadRecords(source)
        self._source = source
        self._path = path
        self._encoding = encoding
        self._names: list[str] = []
        self._known: dict[int, VariableType] = {}
        self._warnings: list[str] = []
        self._was_read = False
        self._left_out: set[str] = set()
        with _told(source):
            if source.type is FileType.KML:
                self._left_out = _DISPLAYED | self._empty_columns()
            self._layers = [self._layer(name) for name in self._layer_names()]
        if GEOMETRY not in self._names:
            self._names.append(GEOMETRY)
        self._known[self._names.index(GEOMETRY)] = VariableType.GEOGRAPHY

    def _layer_names(self) -> list[str]:
        with python_warnings.catch_warnings():
            python_warnings.simplefilter("ignore")
            driver = pyogrio.read_info(self._path)["driver"]
        if driver != _DRIVERS[self._source.type]:
            raise unreadable(self._source, f"it is a document of {driver}.")
        names = [str(name) for name, _ in pyogrio.list_layers(self._path)]
        asked = self._source.options.layer
        if asked is None or self._source.type is FileType.SHP_ZIP:
            return names
        if asked not in names:
            known = ", ".join(map(repr, names))
            raise invalid_request(f"The file has no layer {asked!r}; it has {known}.")
        return [asked]

    def _layer(self, name: str) -> _Layer:
        with self._opened(name) as (meta, batches):
            self._check_system(meta["crs"])
            schema = batches.schema
        geometry = _geometry_name(schema, meta)
        positions = tuple(
            -1 if field.name in {geometry, *self._left_out} else self._position(field) for field in schema
        )
        return _Layer(name, positions, geometry)

    def _empty_columns(self) -> set[str]:
        """Returns the standard columns of KML in which no place of the file has a value."""
        empty = set(_STANDARD)
        for name in self._layer_names():
            with self._opened(name) as (_, batches):
                for batch in batches:
                    present = empty & set(batch.schema.names)
                    empty -= {column for column in present if batch.column(column).null_count < len(batch)}
        return empty

    def _position(self, field: pa.Field) -> int:
        """Returns the position of a column. Layers share a column of the same name and type."""
        type_ = _known_type(field.type)
        if field.name not in self._names:
            self._names.append(field.name)
            self._known[len(self._names) - 1] = type_
        position = self._names.index(field.name)
        if self._known[position] is not type_:
            self._known[position] = VariableType.STRING
        return position

    @contextmanager
    def _opened(self, layer: str) -> Iterator[Any]:
        with python_warnings.catch_warnings():
            python_warnings.simplefilter("ignore")
            with pyogrio.raw.open_arrow(
                self._path, layer=layer, encoding=self._encoding, use_pyarrow=True, batch_size=_BATCH_ROWS
            ) as opened:
                yield opened

    def _check_system(self, system: str | None) -> None:
        """Raises invalid_request_error for a coordinate system other than longitude and latitude."""
        if system is None or system in _SAME_SYSTEMS or _is_wgs84(system):
            return
        if system not in _NEARLY_SAME_SYSTEMS:
            raise unreadable(
                self._source,
                f"its coordinates are in {shortened(system)}. Convert it to WGS 84 (EPSG:4326).",
            )
        name = _NEARLY_SAME_SYSTEMS[system]
        self._warnings.append(f"Its coordinates are in {name} and were taken for WGS 84 (within 2 m).")

    def check_degrees(self) -> None:
        """Raises invalid_request_error when numbers without a coordinate system are not degrees."""
        with _told(self._source):
            bounds = pyogrio.read_info(self._path, force_total_bounds=True)["total_bounds"]
        if bounds is None:
            return
        west, south, east, north = bounds
        if max(abs(west), abs(east)) > LONGITUDE_MAX or max(abs(south), abs(north)) > LATITUDE_MAX:
            raise unreadable(
                self._source,
                "it has no .prj part, and its coordinates are no degrees. Convert it to WGS 84 (EPSG:4326).",
            )
        self._warnings.append("It has no .prj part; its coordinates were taken for WGS 84.")

    def table(self) -> FileTable:
        """Returns the features as a table."""
        cells = CellTable(self._source, self.bad, self.rows, in_texts=())
        with _told(self._source):
            cells.look_at_all()
        detected = Detected(self._source.type, encoding=self._encoding, layer=self._source.options.layer)
        return cells.table([Column(name) for name in self._names], detected, self._warnings, self._known)

    def rows(self) -> Iterator[CellRows]:
        """Yields the features in batches.

        Those whose geometry is nowhere on Earth are reported as bad the first time.
        """
        row = 0
        for layer in self._layers:
            with _told(self._source), self._opened(layer.name) as (_, batches):
                for batch in batches:
                    yield self._cells(layer, batch, row)
                    row += len(batch)
        self._was_read = True

    def _cells(self, layer: _Layer, batch: pa.RecordBatch, first_row: int) -> CellRows:
        places = [Place(first_row + index + 1) for index in range(len(batch))]
        columns: list[list[Any]] = [[None] * len(batch) for _ in self._names]
        for position, array in zip(layer.positions, batch.columns, strict=True):
            if position >= 0:
                columns[position] = array.to_pylist()
        kept = list(range(len(batch)))
        if layer.geometry is not None:
            geometries = batch.column(layer.geometry).to_pylist()
            texts, kept = self._geometries(geometries, places)
            columns[self._names.index(GEOMETRY)] = texts
        if len(kept) < len(places):
            columns = [[column[index] for index in kept] for column in columns]
            places = [places[index] for index in kept]
        return CellRows(columns, places)

    def _geometries(
        self, geometries: Sequence[bytes | None], places: Sequence[Place]
    ) -> tuple[list[str | None], list[int]]:
        """Returns the geometries as WKT, and the positions of the valid ones."""
        texts: list[str | None] = []
        kept: list[int] = []
        for index, geometry in enumerate(geometries):
            try:
                texts.append(None if geometry is None else wkt_of_wkb(geometry))
                kept.append(index)
            except ValueError as error:
                texts.append(None)
                if not self._was_read:
                    self.bad.add(BadRecord(places[index].row, f"its geometry is no place: {error}"))
        return texts, kept


def _geometry_name(schema: pa.Schema, meta: Any) -> str | None:
    """Returns the column of geometries. The driver may leave it without a name."""
    wanted = meta["geometry_name"] or "wkb_geometry"
    return wanted if wanted in schema.names else None


def _known_type(type_: pa.DataType) -> VariableType:
    if pa.types.is_boolean(type_):
        return VariableType.BOOLEAN
    if pa.types.is_integer(type_):
        return VariableType.INTEGER
    if pa.types.is_floating(type_):
        return VariableType.FLOAT
    if pa.types.is_date(type_):
        return VariableType.DATE
    if pa.types.is_time(type_):
        return VariableType.TIME
    return VariableType.DATE_TIME if pa.types.is_timestamp(type_) else VariableType.STRING


@contextmanager
def _told(source: Source) -> Iterator[None]:
    """Turns an error of GDAL into an error of the file."""
    try:
        yield
    except (
        pyogrio.errors.DataSourceError,
        pyogrio.errors.DataLayerError,
        pa.ArrowException,
        OSError,
    ) as error:
        reason = str(error).replace(str(source.scratch), "").partition("\n")[0]
        raise unreadable(source, f"{shortened(reason, _REASON_CHARACTERS_MAX).rstrip('.')}.") from error


# A shapefile without its index is read all the same.
pyogrio.set_gdal_config_options({"SHAPE_RESTORE_SHX": True})
