"""The parts of a zipped shapefile, laid out in the scratch folder under plain names.

Nothing is taken from the archive but the content of the parts that a shapefile has: no path, no link, no
other file. What they inflate to is bounded.
"""

import zipfile
from pathlib import Path, PurePosixPath

from rowkeep.formats.files.table import Source, unreadable

_BLOCK_BYTES = 1024 * 1024
_SUFFIXES = (".shp", ".shx", ".dbf", ".prj", ".cpg")
_SHAPE_MAGIC = b"\x00\x00\x27\x0a"
_INFLATED_BYTES_FREE = 256 * 1024 * 1024
_INFLATED_RATIO_MAX = 200


def laid_out(source: Source) -> Path:
    """The path of the one shapefile.

    Raises invalid_request_error when there is none, or a choice of several.
    """
    with source.path.open("rb") as file:
        head = file.read(4)
    folder = source.scratch / "shapefile"
    folder.mkdir(exist_ok=True)
    if head == _SHAPE_MAGIC:  # the one part that cannot be missing, sent alone
        return _linked(source, folder)
    try:
        with zipfile.ZipFile(source.path) as archive:
            return _extracted(source, archive, folder)
    except (zipfile.BadZipFile, EOFError, NotImplementedError, OSError, RuntimeError, ValueError) as error:
        if "encrypted" in str(error) or "password" in str(error):
            raise unreadable(source, "it is encrypted. Send it without a password.") from error
        raise unreadable(source, f"its archive is damaged or not whole ({error}).") from error


def _linked(source: Source, folder: Path) -> Path:
    path = folder / "layer.shp"
    path.unlink(missing_ok=True)
    path.symlink_to(source.path.resolve())
    return path


def _extracted(source: Source, archive: zipfile.ZipFile, folder: Path) -> Path:
    chosen = _chosen(source, archive)
    left = max(_INFLATED_BYTES_FREE, _INFLATED_RATIO_MAX * source.path.stat().st_size)
    for info in archive.infolist():
        name = PurePosixPath(info.filename.replace("\\", "/"))
        if str(name.with_suffix("")).lower() != chosen or name.suffix.lower() not in _SUFFIXES:
            continue
        with archive.open(info) as content, (folder / f"layer{name.suffix.lower()}").open("wb") as target:
            while block := content.read(_BLOCK_BYTES):
                left -= len(block)
                if left < 0:
                    raise unreadable(source, "it inflates to far more than a shapefile.")
                target.write(block)
    return folder / "layer.shp"


def _chosen(source: Source, archive: zipfile.ZipFile) -> str:
    """The path within the archive, without suffix and in lower case, of the shapefile that is read."""
    shapes = [
        str(PurePosixPath(name.replace("\\", "/")).with_suffix(""))
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
    return shapes[0].lower()
