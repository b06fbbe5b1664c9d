"""GeoJSON: a collection of features, features as lines, or one of them.

Properties are read as any JSON is, and geometries by GEOS. GDAL is not asked: it clamps large integers,
passes bad lines over in silence, and looks for documents of other kinds in the file. Positions are longitude
and latitude (RFC 7946); a file of older times that names another system is refused.
"""

import re
from collections.abc import Iterator
from typing import Any

import msgspec

from rowkeep.formats.files.cell_table import CellTable
from rowkeep.formats.files.json_elements import Member, Raw, array_member, first_byte, member_elements
from rowkeep.formats.files.json_records import OWN, RecordReading, Unfit, told
from rowkeep.formats.files.plain_text import PlainText, plain_text
from rowkeep.formats.files.table import RECORD_BYTES_MAX, Column, FileTable, Source, unreadable
from rowkeep.model.decoding.values import Cells, NumberText
from rowkeep.model.files import Detected, FileType
from rowkeep.model.geography import wkt_of_geojson
from rowkeep.model.types import VariableType

GEOMETRY = f"{OWN}geometry"
_IDENTIFIER = f"{OWN}id"
_FEATURES = '"features"'
_ENDS_BYTES = 64 * 1024
_crs = re.compile(rb'"crs"\s*:\s*\{[^{}]*(?:\{[^{}]*\})?[^{}]*\}').search
_crs_is_known = re.compile(rb"CRS84|EPSG:+(?:[\d.]*:)?4326").search


class _Feature(msgspec.Struct):
    """A feature. Only its geometry is still text."""

    type: str
    id: Any = None
    properties: Cells | None = None
    geometry: msgspec.Raw = msgspec.Raw(b"null")


def open_geojson(source: Source) -> FileTable:
    """Returns a GeoJSON file as a table. Raises invalid_request_error, RecordsRefused for bad records."""
    text = plain_text(source)
    reading = _FeatureReading(source, text)
    cells = CellTable(source, reading.bad, reading.rows)
    cells.look_at_all()
    named = [Column(name) for name in reading.names]
    detected = Detected(source.type, compression=text.compression, encoding=text.encoding)
    known = {reading.position_of(GEOMETRY): VariableType.GEOGRAPHY}
    return cells.table(named, detected, list(text.warnings), known)


class _FeatureReading(RecordReading):
    """Reads the features of a file. Each is a row of its properties and its geometry."""

    def __init__(self, source: Source, text: PlainText) -> None:
        super().__init__(source, text)
        self._decode_feature = msgspec.json.Decoder(_Feature, float_hook=NumberText).decode
        self._member = self._features()

    def _features(self) -> Member | None:
        """Returns where the features of a collection begin. None for lines and for a single feature."""
        if self.source.type is FileType.GEOJSONL:
            return None
        if first_byte(self.text.path, self.text.start) != b"{":
            raise unreadable(self.source, "it is no GeoJSON object.")
        member = array_member(self.text.path, self.text.start, _FEATURES)
        if member is None and self.text.path.stat().st_size > RECORD_BYTES_MAX:
            raise unreadable(self.source, "no features are found in it.")
        self._check_crs()
        return member

    def _check_crs(self) -> None:
        with self.text.path.open("rb") as file:
            head = file.read(_ENDS_BYTES)
            file.seek(max(0, self.text.path.stat().st_size - _ENDS_BYTES))
            found = _crs(head) or _crs(file.read())
        if found is not None and not _crs_is_known(found[0]):
            raise unreadable(
                self.source,
                "it names another coordinate system. Convert it to longitude and latitude (WGS 84).",
            )

    def records(self) -> Iterator[Raw]:
        """Yields the features as they are in the file."""
        if self.source.type is FileType.GEOJSONL:
            yield from self.lines()
        elif self._member is not None:
            yield from member_elements(self.source, self.text.path, self._member)
        else:
            yield Raw(self.text.path.read_bytes()[self.text.start :], 1)

    def cells(self, content: bytes) -> Cells:
        """Returns the properties of a feature, its id and its geometry. Raises Unfit."""
        try:
            feature = self._decode_feature(content)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise Unfit(told(content, error)) from error
        if feature.type != "Feature":
            feature = _bare_geometry(feature, content)
        cells = {} if feature.id is None else {_IDENTIFIER: feature.id}
        cells.update(feature.properties or {})
        cells[GEOMETRY] = _geometry(bytes(feature.geometry))
        return cells


def _bare_geometry(feature: _Feature, content: bytes) -> _Feature:
    if b'"coordinates"' not in content and b'"geometries"' not in content:
        raise Unfit(f"it is no feature of GeoJSON, but {feature.type!r}")
    return _Feature("Feature", geometry=msgspec.Raw(content))


def _geometry(content: bytes) -> str | None:
    if content == b"null":
        return None
    try:
        return wkt_of_geojson(content.decode())
    except ValueError as error:
        raise Unfit(f"its geometry is no place: {error}") from error
