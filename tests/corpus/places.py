"""Shapefiles, KML and GeoParquet."""

import datetime as dt
import io
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import geopandas
import shapely

from tests.corpus.case import Case, Refused, Table

_G = {"a": "integer", "geometry": "geography"}
_POINTS = [shapely.Point(1, 2), shapely.Point(0.1, 0.2)]
_PLACE = "<Placemark>{}<Point><coordinates>1,2</coordinates></Point></Placemark>"
_SHAPE_PARTS = (".shp", ".shx", ".dbf", ".prj", ".cpg")


def _parts(
    properties: dict[str, Any], geometries: Sequence[Any] = _POINTS, system: Any = 4326, **options: Any
) -> dict[str, bytes]:
    """The parts of a shapefile by their endings."""
    with tempfile.TemporaryDirectory() as folder:
        frame = geopandas.GeoDataFrame(properties, geometry=list(geometries), crs=system)
        frame.to_file(Path(folder) / "x.shp", driver="ESRI Shapefile", **options)
        return {part.suffix: part.read_bytes() for part in Path(folder).iterdir()}


def _zipped(parts: dict[str, bytes], *endings: str, name: str = "x") -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        for ending in endings or _SHAPE_PARTS:
            if ending in parts:
                archive.writestr(f"{name}{ending}", parts[ending])
    return sink.getvalue()


def _shape(*endings: str, name: str = "x", **properties: Any) -> Callable[[], bytes]:
    return lambda: _zipped(_parts(properties or {"a": [1, 2]}), *endings, name=name)


def _two_shapes() -> bytes:
    parts = _parts({"a": [1, 2]})
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        for name in ("one", "two"):
            for ending, part in parts.items():
                archive.writestr(f"{name}{ending}", part)
    return sink.getvalue()


def _shape_bomb() -> bytes:
    sink = io.BytesIO()
    with (
        zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("x.shp", "w", force_zip64=True) as part,
    ):
        for _ in range(300):
            part.write(bytes(1024 * 1024))
    return sink.getvalue()


def _linked() -> bytes:
    """An archive whose .dbf is a link to a file of the system."""
    parts = _parts({"a": [1, 2]})
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        archive.writestr("x.shp", parts[".shp"])
        link = zipfile.ZipInfo("x.dbf")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    return sink.getvalue()


def _kml(inner: str, head: str = "") -> bytes:
    return f'<?xml version="1.0"?>{head}<kml xmlns="http://www.opengis.net/kml/2.2"><Document>{inner}</Document></kml>'.encode()


def _geoparquet(system: Any) -> Callable[[], bytes]:
    def content() -> bytes:
        sink = io.BytesIO()
        geopandas.GeoDataFrame({"a": [1, 2]}, geometry=[shapely.Point(1, 2), None], crs=system).to_parquet(
            sink
        )
        return sink.getvalue()

    return content


_TWO = [(1, "POINT (1 2)"), (2, "POINT (0.1 0.2)")]
_KML = {"Name": "string", "geometry": "geography"}

CASES = [
    Case("shp-plain/a.shp.zip", _shape(), Table(_G, _TWO)),
    Case("shp-folders/a.shp.zip", _shape(name="../../etc/x"), Table(_G, _TWO)),
    Case("shp-absolute/a.shp.zip", _shape(name="/etc/x"), Table(_G, _TWO)),
    Case(
        "shp-link/a.shp.zip",
        _linked,
        Table({"geometry": "geography"}, [(row[1],) for row in _TWO], warning="no .prj"),
    ),
    Case("shp-no-prj/a.shp.zip", _shape(".shp", ".shx", ".dbf"), Table(_G, _TWO, warning="no .prj")),
    Case("shp-no-index/a.shp.zip", _shape(".shp", ".dbf", ".prj"), Table(_G, _TWO)),
    Case(
        "shp-no-properties/a.shp.zip",
        _shape(".shp", ".prj"),
        Table({"geometry": "geography"}, [(row[1],) for row in _TWO]),
    ),
    Case(
        "shp-alone/a.shp",
        lambda: _parts({"a": [1, 2]})[".shp"],
        Table({"geometry": "geography"}, [(row[1],) for row in _TWO], warning="no .prj"),
    ),
    Case(
        "shp-no-prj-metres/a.shp.zip",
        lambda: _zipped(
            _parts({"a": [1, 2]}, [shapely.Point(500_000, 5_000_000)] * 2, 32633), ".shp", ".dbf"
        ),
        Refused("are no degrees"),
    ),
    Case(
        "shp-other-system/a.shp.zip",
        lambda: _zipped(_parts({"a": [1, 2]}, system=32633)),
        Refused("EPSG:32633"),
    ),
    Case(
        "shp-nad83/a.shp.zip",
        lambda: _zipped(_parts({"a": [1, 2]}, system=4269)),
        Table(_G, _TWO, warning="NAD83"),
    ),
    Case(
        "shp-null-geometry/a.shp.zip",
        lambda: _zipped(_parts({"a": [1, 2]}, [shapely.Point(1, 2), None])),
        Table(_G, [(1, "POINT (1 2)"), (2, None)]),
    ),
    Case(
        "shp-heights/a.shp.zip",
        lambda: _zipped(_parts({"a": [1, 2]}, [shapely.Point(1, 2, 3), shapely.Point(4, 5, 6)])),
        Table(_G, [(1, "POINT Z (1 2 3)"), (2, "POINT Z (4 5 6)")]),
    ),
    Case(
        "shp-types/a.shp.zip",
        _shape(f=[1.5, None], s=["ä", "b"]),
        Table(
            {"f": "float", "s": "string", "geometry": "geography"},
            [(1.5, "ä", "POINT (1 2)"), (None, "b", "POINT (0.1 0.2)")],
        ),
    ),
    Case(
        "shp-cp1252/a.shp.zip",
        lambda: _zipped(_parts({"s": ["ä", "“"]}, encoding="CP1252"), ".shp", ".shx", ".dbf", ".prj"),
        Table({"s": "string", "geometry": "geography"}, [("ä", "POINT (1 2)"), ("“", "POINT (0.1 0.2)")]),
    ),
    Case(
        "shp-beyond-earth/a.shp.zip",
        lambda: _zipped(_parts({"a": [1, 2]}, [shapely.Point(1, 95), shapely.Point(1, 2)])),
        Refused("latitude 95", [1]),
    ),
    Case(
        "shp-beyond-earth-skipped/a.shp.zip",
        lambda: _zipped(_parts({"a": [1, 2]}, [shapely.Point(1, 95), shapely.Point(1, 2)])),
        Table(_G, [(2, "POINT (1 2)")], bad=1),
        {"skip_bad_records": True},
    ),
    Case("shp-several/a.shp.zip", _two_shapes, Refused("'one', 'two'")),
    Case("shp-chosen/a.shp.zip", _two_shapes, Table(_G, _TWO), {"layer": "two"}),
    Case("shp-none/a.shp.zip", lambda: _zipped({".txt": b"x"}, ".txt"), Refused("no shapefile")),
    Case("shp-bomb/a.shp.zip", _shape_bomb, Refused("far more than a shapefile")),
    Case("shp-truncated/a.shp.zip", lambda: _shape()()[:-100], Refused("damaged or not whole")),
    Case("shp-text/a.shp.zip", b"a,b\n1,2\n", Refused("damaged or not whole")),
    Case("kml-plain/a.kml", _kml(_PLACE.format("<name>p</name>")), Table(_KML, [("p", "POINT (1 2)")])),
    Case(
        "kml-folders/a.kml",
        _kml(
            "<Folder><name>One</name>"
            + _PLACE.format("<name>p</name>")
            + "</Folder><Folder><name>Two</name><Folder><name>In</name>"
            + _PLACE.format("<name>q</name>")
            + "</Folder></Folder>"
        ),
        Table(_KML, [("p", "POINT (1 2)"), ("q", "POINT (1 2)")]),
    ),
    Case(
        "kml-data/a.kml",
        _kml(
            _PLACE.format(
                '<name>p</name><ExtendedData><Data name="code"><value>007</value></Data></ExtendedData>'
            )
        ),
        Table({"Name": "string", "code": "string", "geometry": "geography"}, [("p", "007", "POINT (1 2)")]),
    ),
    Case(
        "kml-time/a.kml",
        _kml(_PLACE.format("<name>p</name><TimeStamp><when>2024-01-02T03:04:05Z</when></TimeStamp>")),
        Table(
            {"Name": "string", "timestamp": "dateTime", "geometry": "geography"},
            [("p", dt.datetime(2024, 1, 2, 3, 4, 5), "POINT (1 2)")],
        ),
    ),
    Case(
        "kml-entities/a.kml",
        _kml(_PLACE.format("<name>&x;</name>"), '<!DOCTYPE k [<!ENTITY x SYSTEM "file:///etc/passwd">]>'),
        Refused("'<!DOCTYPE'"),
    ),
    Case(
        "kml-entities-late/a.kml",
        _kml(" " * 200_000 + '<!ENTITY x "y">' + _PLACE.format("")),
        Refused("'<!ENTITY'"),
    ),
    Case(
        "kml-second-root/a.kml",
        b"<kml/><OGRVRTDataSource><OGRVRTLayer name='x'><SrcDataSource>/etc/passwd</SrcDataSource>"
        b"</OGRVRTLayer></OGRVRTDataSource>",
        Refused("'<OGRVRTDataSource'"),
    ),
    Case(
        "kml-is-gpx/a.kml",
        b'<?xml version="1.0"?><gpx version="1.1"><wpt lat="1" lon="2"/></gpx>',
        Refused("no KML"),
    ),
    Case("kml-is-text/a.kml", b"a,b\n1,2\n", Refused("no KML")),
    Case("kml-empty/a.kml", b"", Refused("it is empty")),
    Case(
        "kml-truncated/a.kml", _kml(_PLACE.format("<name>p</name>"))[:-40], Refused("cannot be read as kml")
    ),
    Case("geoparquet/a.parquet", _geoparquet(4326), Table(_G, [(1, "POINT (1 2)"), (2, None)])),
    Case("geoparquet-other-system/a.parquet", _geoparquet(25832), Refused("another system")),
]
