"""The parts of a zipped shapefile, laid out in the scratch folder under plain names.

Nothing is taken from the archive but the content of the parts that a shapefile has: no path, no link, no
other file. What they inflate to is bounded.
"""

import shutil
import zipfile
from pathlib import Path, PurePosixPath

from rowkeep.formats.files.table import ARCHIVE_ERRORS, Source, unreadable

_BLOCK_BYTES = 1024 * 1024
_SUFFIXES = (".shp", ".shx", ".dbf", ".prj", ".cpg")
_SHAPE_MAGIC = b"\x00\x00\x27\x0a"
_INFLATED_BYTES_FREE = 256 * 1024 * 1024
_INFLATED_RATIO_MAX = 200


def laid_out(source: Source) -> Path:
    """Returns the path of the one shapefile.

    Raises invalid_request_error when there is none, or a choice of several.
    """
    with source.path.open("rb") as file:
        head = file.read(4)
    folder = source.scratch / "shapefile"
    folder.mkdir(exist_ok=True)
    if head == _SHAPE_MAGIC:  # the one part that cannot be missing, sent alone
        return Path(shutil.copyfile(source.path, folder / "layer.shp"))
    try:
        with zipfile.ZipFile(source.path) as archive:
            return _extracted(source, archive, folder)
    except ARCHIVE_ERRORS as error:
        if "encrypted" in str(error) or "password" in str(error):
            raise unreadable(source, "it is encrypted. Send it without a password.") from error
        raise unreadable(source, f"its archive is damaged or not whole ({error}).") from error


def _extracted(source: Source, archive: zipfile.ZipFile, folder: Path) -> Path:
    chosen = _chosen(source, archive)
    parts = [info for info in archive.infolist() if _stem(info.filename) == chosen]
    # A part never inflates to more than its entry says: zipfile stops there.
    usual = _INFLATED_RATIO_MAX * source.path.stat().st_size
    if sum(info.file_size for info in parts) > max(_INFLATED_BYTES_FREE, usual):
        raise unreadable(source, "it inflates to far more than a shapefile.")
    for info in parts:
        suffix = PurePosixPath(info.filename).suffix.lower()
        if suffix in _SUFFIXES:
            with archive.open(info) as content, (folder / f"layer{suffix}").open("wb") as target:
                shutil.copyfileobj(content, target, _BLOCK_BYTES)
    return folder / "layer.shp"


def _chosen(source: Source, archive: zipfile.ZipFile) -> str:
    """Returns the path of the chosen shapefile within the archive, without suffix, in lower case."""
    shapes = [
        _stem(name)
        for name in archive.namelist()
        if name.lower().endswith(".shp") and not name.startswith("__MACOSX")
    ]
    asked = source.options.layer
    if asked is not None:
        shapes = [shape for shape in shapes if PurePosixPath(shape).name.lower() == asked.lower()]
    if not shapes:
        missing = f" called {asked!r}" if asked is not None else ""
        raise unreadable(source, f"there is no shapefile{missing} in it.")
    if len(shapes) > 1:
        names = ", ".join(repr(PurePosixPath(shape).name) for shape in shapes)
        raise unreadable(
            source, f"there are several shapefiles in it: {names}. Give the `layer` that is meant."
        )
    return shapes[0]


def _stem(name: str) -> str:
    """Returns the path of a part without its suffix, in lower case."""
    path = name.replace("\\", "/").lower()
    return path.removesuffix(PurePosixPath(path).suffix)
