"""GeoParquet: a Parquet file whose metadata name the columns that hold geometries."""

from typing import Any

import msgspec
import pyarrow as pa

from rowkeep.formats.files.table import Source, unreadable
from rowkeep.model.geography import wkt_of_wkb

_KEY = b"geo"
_KNOWN_CODES = (4326, "CRS84", 4979)


class _GeometryColumn(msgspec.Struct):
    encoding: str
    crs: Any = msgspec.UNSET


class _GeoMetadata(msgspec.Struct):
    columns: dict[str, _GeometryColumn]


def geometry_positions(source: Source, schema: pa.Schema) -> frozenset[int]:
    """Returns the positions of geometry columns.

    Raises invalid_request_error for a coordinate system other than longitude and latitude.
    """
    content = (schema.metadata or {}).get(_KEY)
    if content is None:
        return frozenset()
    try:
        columns = msgspec.json.decode(content, type=_GeoMetadata).columns
    except msgspec.DecodeError:
        return frozenset()
    for name, column in columns.items():
        if not _is_longitude_and_latitude(column.crs):
            raise unreadable(
                source,
                f"the geometries of {name!r} are in another system. Convert them to WGS 84 (EPSG:4326).",
            )
    return frozenset(
        position
        for position, field in enumerate(schema)
        if field.name in columns and columns[field.name].encoding == "WKB" and _holds_bytes(field.type)
    )


def _is_longitude_and_latitude(crs: Any) -> bool:
    """Returns whether a system, in PROJ's JSON, is WGS 84. It is when none is named."""
    if crs is msgspec.UNSET or crs is None:
        return True
    identifier = crs.get("id") if isinstance(crs, dict) else None
    return isinstance(identifier, dict) and identifier.get("code") in _KNOWN_CODES


def _holds_bytes(type_: pa.DataType) -> bool:
    plain = type_.storage_type if isinstance(type_, pa.BaseExtensionType) else type_
    return bool(
        pa.types.is_binary(plain) or pa.types.is_large_binary(plain) or pa.types.is_binary_view(plain)
    )


def geography_texts(source: Source, column: str, array: pa.Array, first_row: int) -> pa.Array:
    """Returns geometries as WKT. Raises invalid_request_error for a geometry that is nowhere on Earth."""
    plain = array.storage if isinstance(array.type, pa.BaseExtensionType) else array
    texts: list[str | None] = []
    for position, content in enumerate(plain.to_pylist()):
        try:
            texts.append(None if content is None else wkt_of_wkb(content))
        except ValueError as error:
            row = first_row + position + 1
            raise unreadable(source, f"row {row} of {column!r} is no place: {error}.") from error
    return pa.array(texts, type=pa.string())
