"""JSON: lines, arrays and GeoJSON."""

import datetime as dt
import gzip
import json

from rowkeep.model.types import VariableType
from tests.corpus.case import Case, Refused, Table

_A = {"a": "integer"}
_G = {"a": "integer", "geometry": "geography"}
_DAY = dt.date(2024, 1, 2)


def _case(name: str, content: str | bytes, expected: Table | Refused, **options: object) -> Case:
    data = content.encode() if isinstance(content, str) else content
    return Case(name, data, expected, options)


def _feature(properties: str, geometry: str, more: str = "") -> str:
    return f'{{"type":"Feature",{more}"properties":{properties},"geometry":{geometry}}}'


def _collection(*features: str, more: str = "") -> str:
    return f'{{"type":"FeatureCollection",{more}"features":[{",".join(features)}]}}'


_POINT = '{"type":"Point","coordinates":[1,2]}'

CASES = [
    _case("ndjson-plain/a.ndjson", '{"a":1}\n{"a":2}\n', Table(_A, [(1,), (2,)])),
    _case("ndjson-jsonl/a.jsonl", '{"a":1}\n{"a":2}', Table(_A, [(1,), (2,)])),
    _case("ndjson-crlf/a.ndjson", '{"a":1}\r\n\r\n{"a":2}\r\n', Table(_A, [(1,), (2,)])),
    _case("ndjson-bom/a.ndjson", b'\xef\xbb\xbf{"a":1}\n', Table(_A, [(1,)])),
    _case("ndjson-separators/a.ndjson", '\x1e{"a":1}\n\x1e{"a":2}\n', Table(_A, [(1,), (2,)])),
    _case("ndjson-gzip/a.ndjson.gz", gzip.compress(b'{"a":1}\n'), Table(_A, [(1,)])),
    _case("ndjson-late-type/a.ndjson", '{"a":1}\n' * 6_000 + '{"a":"x"}\n', Table({"a": "string"}, 6_001)),
    _case(
        "ndjson-late-column/a.ndjson",
        '{"a":1}\n' * 6_000 + '{"b":2}\n',
        Table({"a": "integer", "b": "integer"}, 6_001),
    ),
    _case(
        "ndjson-missing-keys/a.ndjson",
        '{"a":1}\n{"b":2}\n{}\n',
        Table({"a": "integer", "b": "integer"}, [(1, None), (None, 2), (None, None)]),
    ),
    _case(
        "ndjson-mixed/a.ndjson",
        '{"a":1}\n{"a":true}\n{"a":"x"}\n{"a":1.50}\n',
        Table({"a": "string"}, [("1",), ("true",), ("x",), ("1.50",)]),
    ),
    _case(
        "ndjson-strings-like-types/a.ndjson",
        '{"d":"2024-01-02","n":"00123","i":"5","b":"true"}\n',
        Table({"d": "date", "n": "string", "i": "string", "b": "string"}, [(_DAY, "00123", "5", "true")]),
    ),
    _case(
        "ndjson-times/a.ndjson",
        '{"t":"10:00:00","z":"2024-01-02T10:00:00Z","s":"2024-01-02 10:00:00"}\n',
        Table(
            {"t": "time", "z": "string", "s": "dateTime"},
            [(dt.time(10), "2024-01-02T10:00:00Z", dt.datetime(2024, 1, 2, 10))],
        ),
    ),
    _case(
        "ndjson-big-integer/a.ndjson",
        '{"a":12345678901234567890}\n{"a":1}\n',
        Table({"a": "string"}, [("12345678901234567890",), ("1",)]),
    ),
    _case(
        "ndjson-integer-not-in-double/a.ndjson",
        '{"a":9007199254740993}\n{"a":1.5}\n',
        Table({"a": "string"}, [("9007199254740993",), ("1.5",)]),
    ),
    _case(
        "ndjson-integer-edges/a.ndjson",
        '{"a":9223372036854775807}\n{"a":-9223372036854775808}\n',
        Table(_A, [(2**63 - 1,), (-(2**63),)]),
    ),
    _case(
        "ndjson-floats/a.ndjson",
        '{"a":1}\n{"a":2.5}\n{"a":1e5}\n',
        Table({"a": "float"}, [(1.0,), (2.5,), (100000.0,)]),
    ),
    _case(
        "ndjson-exponent-beyond-double/a.ndjson",
        '{"a":1e400}\n{"a":1}\n',
        Table({"a": "string"}, [("1e400",), ("1",)]),
    ),
    _case(
        "ndjson-too-many-digits/a.ndjson",
        '{"a":0.12345678901234567890}\n',
        Table({"a": "string"}, [("0.12345678901234567890",)]),
    ),
    _case(
        "ndjson-nested/a.ndjson",
        '{"a":{"x":[1,2.50]},"b":[]}\n',
        Table({"a": "string", "b": "string"}, [('{"x":[1,2.50]}', "[]")]),
    ),
    _case("ndjson-nan/a.ndjson", '{"a":1}\n{"a":NaN}\n', Refused("JSON has no NaN", [2], 1)),
    _case("ndjson-bad-lines/a.ndjson", '{"a":1}\n{"a":tru}\n[1]\n{"a":2}\n', Refused("Line 2", [2, 3], 2)),
    _case(
        "ndjson-bad-lines-skipped/a.ndjson",
        '{"a":1}\n{"a":tru}\n[1]\n{"a":2}\n',
        Table(_A, [(1,), (2,)], bad=2),
        skip_bad_records=True,
    ),
    _case("ndjson-last-line-cut/a.ndjson", '{"a":1}\n{"a":', Refused("Line 2", [2])),
    _case("ndjson-key-twice/a.ndjson", '{"a":1,"a":2}\n', Table(_A, [(2,)])),
    _case(
        "ndjson-keys-differ-in-case/a.ndjson", '{"a":1}\n{"a":1,"A":2}\n', Refused("names ignore case", [2])
    ),
    _case("ndjson-case-from-row-to-row/a.ndjson", '{"a":1}\n{"A":2}\n', Table(_A, [(1,), (2,)])),
    _case(
        "ndjson-names/a.ndjson",
        '{"a b":1,"a_b":2,"":3}\n',
        Table(
            {"a_b_1": "integer", "a_b": "integer", "column": "integer"}, [(1, 2, 3)], labels={"a_b_1": "a b"}
        ),
    ),
    _case(
        "ndjson-escapes/a.ndjson",
        '{"a":"\\u0000\\n\\ud83d\\ude00"}\n',
        Table({"a": "string"}, [("\x00\n😀",)]),
    ),
    _case("ndjson-lone-surrogate/a.ndjson", '{"a":"\\ud800"}\n', Refused("Line 1", [1])),
    _case(
        "ndjson-cell-too-big/a.ndjson",
        '{"a":"' + "x" * 17_000_000 + '"}\n',
        Refused("longer than 16 MiB", [1]),
    ),
    _case("ndjson-is-array/a.ndjson", '[{"a":1}]', Refused("Give the type json")),
    _case(
        "ndjson-given-type/a.ndjson",
        '{"a":"1"}\n{"a":"x"}\n',
        Refused("column 'a'", [2]),
        types={"a": VariableType.INTEGER},
    ),
    _case(
        "ndjson-given-type-skipped/a.ndjson",
        '{"a":"1"}\n{"a":"x"}\n',
        Table(_A, [(1,)], bad=1),
        types={"a": VariableType.INTEGER},
        skip_bad_records=True,
    ),
    _case("ndjson-empty/a.ndjson", "", Refused("it is empty")),
    _case(
        "ndjson-many-columns/a.ndjson",
        json.dumps({f"c{number}": 1 for number in range(10_001)}),
        Refused("10001 columns"),
    ),
    _case(
        "ndjson-deep/a.ndjson",
        '{"a":' + "[" * 100_000 + "]" * 100_000 + "}",
        Refused("nested too deeply", [1]),
    ),
    _case("json-array/a.json", '[{"a":1},\n {"a":2}]', Table(_A, [(1,), (2,)])),
    _case(
        "json-brackets-in-text/a.json",
        '[{"a":"x]}\\""},{"a":"{["}]',
        Table({"a": "string"}, [('x]}"',), ("{[",)]),
    ),
    _case("json-object/a.json", '{\n "a": 1\n}', Table(_A, [(1,)])),
    _case("json-objects-in-a-row/a.json", '{"a":1}{"a":2}\n{"a":3}', Table(_A, [(1,), (2,), (3,)])),
    _case("json-lines-named-json/a.json", '{"a":1}\n{"a":2}\n', Table(_A, [(1,), (2,)])),
    _case("json-numbers/a.json", "[1,2]", Refused("no object", [1, 1], 2)),
    _case("json-text/a.json", '"a"', Refused("no array of objects")),
    _case("json-empty-array/a.json", "[]", Refused("no column")),
    _case("json-truncated/a.json", '[{"a":1},{"a":2}', Refused("ends within a record")),
    _case("json-truncated-in-text/a.json", '[{"a":1},{"a":"', Refused("ends within a record")),
    _case("json-followed/a.json", '[{"a":1}] {"a":2}', Refused("something follows")),
    _case("json-bad-element/a.json", '[{"a":1},\n\n{"a":x}]', Refused("Line 3", [3])),
    _case("json-only-brackets/a.json", "[" * 100_000, Refused("ends within a record")),
    _case("json-utf-16/a.json", '[{"a":"é"}]'.encode("utf-16"), Table({"a": "string"}, [("é",)])),
    _case(
        "json-big-array/a.json",
        "[" + ",".join('{"a":"' + "x" * 1000 + '"}' for _ in range(3_000)) + "]",
        Table({"a": "string"}, 3_000),
    ),
    _case(
        "json-is-geojson/a.json", _collection(_feature('{"a":1}', _POINT)), Refused("Give the type geojson")
    ),
    _case("json-is-csv/a.json", "a,b\n1,2\n", Refused("no array of objects")),
    _case(
        "geojson-points/a.geojson",
        _collection(_feature('{"a":1}', _POINT), _feature('{"a":2}', "null")),
        Table(_G, [(1, "POINT (1 2)"), (2, None)]),
    ),
    _case("geojson-all-null/a.geojson", _collection(_feature('{"a":1}', "null")), Table(_G, [(1, None)])),
    _case(
        "geojson-no-properties/a.geojson",
        _collection(_feature("null", _POINT)),
        Table({"geometry": "geography"}, [("POINT (1 2)",)]),
    ),
    _case(
        "geojson-ids/a.geojson",
        _collection(_feature('{"a":1}', _POINT, '"id":"f-1",')),
        Table({"id": "string", **_G}, [("f-1", 1, "POINT (1 2)")]),
    ),
    _case(
        "geojson-id-twice/a.geojson",
        _collection(_feature('{"id":5}', _POINT, '"id":7,')),
        Table({"id": "integer", "id_1": "integer", "geometry": "geography"}, [(7, 5, "POINT (1 2)")]),
    ),
    _case(
        "geojson-digits/a.geojson",
        _collection(_feature('{"a":1}', '{"type":"Point","coordinates":[0.30000000000000004,-1e-7,3]}')),
        Table(_G, [(1, "POINT Z (0.30000000000000004 -1e-7 3)")]),
    ),
    _case(
        "geojson-kinds/a.geojson",
        _collection(
            _feature('{"a":1}', '{"type":"Polygon","coordinates":[[[0,0],[1,0],[1,1],[0,0]]]}'),
            _feature('{"a":2}', '{"type":"GeometryCollection","geometries":[' + _POINT + "]}"),
        ),
        Table(_G, [(1, "POLYGON ((0 0, 1 0, 1 1, 0 0))"), (2, "GEOMETRYCOLLECTION (POINT (1 2))")]),
    ),
    _case(
        "geojson-big-integer/a.geojson",
        _collection(_feature('{"a":9223372036854775808}', "null")),
        Table({"a": "string", "geometry": "geography"}, [("9223372036854775808", None)]),
    ),
    _case(
        "geojson-mixed-property/a.geojson",
        _collection(_feature('{"a":1}', "null"), _feature('{"a":"x"}', "null")),
        Table({"a": "string", "geometry": "geography"}, [("1", None), ("x", None)]),
    ),
    _case(
        "geojson-beyond-earth/a.geojson",
        _collection(_feature('{"a":1}', '{"type":"Point","coordinates":[1,95]}')),
        Refused("latitude 95", [1]),
    ),
    _case(
        "geojson-beyond-earth-skipped/a.geojson",
        _collection(
            _feature('{"a":1}', '{"type":"Point","coordinates":[1,95]}'), _feature('{"a":2}', _POINT)
        ),
        Table(_G, [(2, "POINT (1 2)")], bad=1),
        skip_bad_records=True,
    ),
    _case(
        "geojson-broken-geometry/a.geojson",
        _collection(_feature('{"a":1}', '{"type":"LineString","coordinates":[[0,0]]}')),
        Refused("its geometry is no place", [1]),
    ),
    _case(
        "geojson-unknown-geometry/a.geojson",
        _collection(_feature('{"a":1}', '{"type":"Circle"}')),
        Refused("its geometry is no place", [1]),
    ),
    _case(
        "geojson-nested-collections/a.geojson",
        _collection(_feature('{"a":1}', '{"type":"GeometryCollection","geometries":[' * 40 + "]}" * 40)),
        Refused("nested too deeply", [1]),
    ),
    _case(
        "geojson-other-system/a.geojson",
        _collection(
            _feature('{"a":1}', _POINT),
            more='"crs":{"type":"name","properties":{"name":"urn:ogc:def:crs:EPSG::25832"}},',
        ),
        Refused("another coordinate system"),
    ),
    _case(
        "geojson-wgs84-named/a.geojson",
        _collection(
            _feature('{"a":1}', _POINT),
            more='"crs":{"type":"name","properties":{"name":"urn:ogc:def:crs:OGC:1.3:CRS84"}},',
        ),
        Table(_G, [(1, "POINT (1 2)")]),
    ),
    _case(
        "geojson-features-word-in-name/a.geojson",
        _collection(_feature('{"a":1}', _POINT), more='"name":"features","x":{"features":[5]},'),
        Table(_G, [(1, "POINT (1 2)")]),
    ),
    _case("geojson-one-feature/a.geojson", _feature('{"a":1}', _POINT), Table(_G, [(1, "POINT (1 2)")])),
    _case("geojson-one-geometry/a.geojson", _POINT, Table({"geometry": "geography"}, [("POINT (1 2)",)])),
    _case("geojson-topology/a.geojson", '{"type":"Topology","objects":{}}', Refused("no feature of GeoJSON")),
    _case(
        "geojson-truncated/a.geojson",
        _collection(_feature('{"a":1}', _POINT))[:-3],
        Refused("ends within a record"),
    ),
    _case(
        "geojson-other-driver/a.geojson",
        '<OGRVRTDataSource><OGRVRTLayer name="x"><SrcDataSource>/etc/passwd</SrcDataSource>'
        "</OGRVRTLayer></OGRVRTDataSource>",
        Refused("no GeoJSON"),
    ),
    _case("geojson-empty/a.geojson", _collection(), Refused("no column")),
    _case(
        "geojsonl/a.geojsonl",
        _feature('{"a":1}', _POINT) + "\n" + _feature('{"a":2}', "null"),
        Table(_G, [(1, "POINT (1 2)"), (2, None)]),
    ),
    _case(
        "geojsonl-separators/a.geojsons",
        "\x1e" + _feature('{"a":1}', _POINT) + "\n",
        Table(_G, [(1, "POINT (1 2)")]),
    ),
    _case(
        "geojsonl-bad-line/a.geojsonl", _feature('{"a":1}', _POINT) + '\n{"type":\n', Refused("Line 2", [2])
    ),
    _case(
        "geojsonl-late-column/a.geojsonl",
        (_feature('{"a":1}', _POINT) + "\n") * 5_500 + _feature('{"late":"x"}', _POINT),
        Table({**_G, "late": "string"}, 5_501),
    ),
]
