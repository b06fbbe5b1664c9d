"""Which type a file has: what the caller says, what its name says, and whether its content agrees.

The name decides, as documented; the content is asked where the name says nothing. A file whose content is
plainly of another type is refused, and told what it is: to guess again would load what nobody meant.
Source: contract 4.5.
"""

from pathlib import Path

from rowkeep.model.errors import invalid_request
from rowkeep.model.files import FileOptions, FileType
from rowkeep.model.inflating import ContentCoding

_ALIASES = {
    "csv": FileType.DELIMITED,
    "tsv": FileType.DELIMITED,
    "jsonl": FileType.NDJSON,
    "shp": FileType.SHP_ZIP,
}
_BY_EXTENSION = {
    ".ndjson": FileType.NDJSON,
    ".jsonl": FileType.NDJSON,
    ".json": FileType.JSON,
    ".avro": FileType.AVRO,
    ".parquet": FileType.PARQUET,
    ".pq": FileType.PARQUET,
    ".orc": FileType.ORC,
    ".sas7bdat": FileType.SAS7BDAT,
    ".dta": FileType.DTA,
    ".sav": FileType.SAV,
    ".zsav": FileType.SAV,
    ".xls": FileType.XLS,
    ".xlsx": FileType.XLSX,
    ".xlsm": FileType.XLSX,
    ".geojson": FileType.GEOJSON,
    ".geojsonl": FileType.GEOJSONL,
    ".geojsons": FileType.GEOJSONL,
    ".kml": FileType.KML,
    ".shp.zip": FileType.SHP_ZIP,
    ".shp": FileType.SHP_ZIP,
    ".csv": FileType.DELIMITED,
    ".tsv": FileType.DELIMITED,
    ".psv": FileType.DELIMITED,
    ".dsv": FileType.DELIMITED,
    ".txt": FileType.DELIMITED,
    ".tab": FileType.DELIMITED,
}
_COMPRESSED = (".gz", ".zst", ".zstd")
_TEXT_TYPES = frozenset(
    {FileType.DELIMITED, FileType.NDJSON, FileType.JSON, FileType.GEOJSON, FileType.GEOJSONL, FileType.KML}
)

# What a file begins with, what that is, and the type of file that it makes, if it is one.
_CONTENTS: tuple[tuple[bytes, str, FileType | None], ...] = (
    (b"PAR1", "a Parquet file", FileType.PARQUET),
    (b"PARE", "an encrypted Parquet file", None),
    (b"ORC", "an ORC file", FileType.ORC),
    (b"Obj\x01", "an Avro file", FileType.AVRO),
    (b"$FL2", "an SPSS file", FileType.SAV),
    (b"$FL3", "an SPSS file", FileType.SAV),
    (b"<stata_dta>", "a Stata file", FileType.DTA),
    (b"ARROW1", "an Arrow file", None),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an older Office file, or an encrypted one", FileType.XLS),
    (b"PK\x03\x04", "a ZIP archive (of which an xlsx file is one)", FileType.XLSX),
    (b"PK\x05\x06", "an empty ZIP archive", None),
    (b"SQLite format 3\x00", "an SQLite database", None),
    (b"%PDF-", "a PDF document", None),
    (b"\x89PNG", "a picture", None),
    (b"\xff\xd8\xff", "a picture", None),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", None),
    (b"Rar!", "a RAR archive", None),
    (b"BZh9", "compressed with bzip2", None),
    (b"\xfd7zXZ\x00", "compressed with xz", None),
    (b"RDX2\n", "an R data file", None),
    (b"RDX3\n", "an R data file", None),
)
_SAS_MAGIC = bytes.fromhex("c2ea8160b31411cfbd92080009c7318c181f1011")
_HEAD_BYTES = 64


def content_name(head: bytes) -> str | None:
    """Returns what the first bytes of a file prove it to be. None for text and for anything unknown."""
    if head[12:32] == _SAS_MAGIC:
        return "a SAS file"
    return next((name for magic, name, _ in _CONTENTS if head.startswith(magic)), None)


def inflated_coding(head: bytes) -> ContentCoding | None:
    """Returns how a file is compressed, by its first bytes."""
    if head.startswith(b"\x1f\x8b"):
        return ContentCoding.GZIP
    return ContentCoding.ZSTD if head.startswith(b"\x28\xb5\x2f\xfd") else None


def file_type(path: Path, options: FileOptions) -> FileType:
    """Returns the type of a file. Raises invalid_request_error for an unknown type."""
    if options.type is not None:
        return _asked_type(options.type)
    named = _type_by_name(options.file_name.lower())
    if named is not None:
        return named
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    return content_type(head) or FileType.DELIMITED


def _asked_type(asked: str) -> FileType:
    name = asked.lower()
    if name in _ALIASES:
        return _ALIASES[name]
    if name not in set(FileType):
        known = ", ".join(FileType)
        raise invalid_request(f"The file type {asked!r} is not known; it is one of {known}.")
    return FileType(name)


def _type_by_name(name: str) -> FileType | None:
    for ending, type_ in _BY_EXTENSION.items():
        if name.endswith(ending):
            return type_
    for ending in _COMPRESSED:
        if name.endswith(ending):
            inner = _type_by_name(name.removesuffix(ending))
            return inner if inner in _TEXT_TYPES else None
    return None


def content_type(head: bytes) -> FileType | None:
    """Returns the type that the first bytes of a file prove. None for text and for anything unknown."""
    if head[12:32] == _SAS_MAGIC:
        return FileType.SAS7BDAT
    return next((type_ for magic, _, type_ in _CONTENTS if head.startswith(magic)), None)
