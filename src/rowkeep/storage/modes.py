"""The files of a data directory are for the server's user alone.

rowkeep makes files 0600 and folders 0700, whatever the umask. Earlier versions did not, and a copy may have
other modes. So each start takes the rights of group and others away. Links are not followed.
"""

import stat

import structlog

from rowkeep.storage.local_files import DataDirectory

GROUP_AND_OTHERS = 0o077
SHOWN_MAX = 10

_log = structlog.get_logger("rowkeep.start")


def close_to_others(directory: DataDirectory) -> None:
    """Takes the rights of group and others from the data directory and its contents, and logs the changes."""
    mended, left = _closed(directory)
    if mended:
        _log.warning(
            "files were open to other users and no longer are", count=len(mended), files=mended[:SHOWN_MAX]
        )
    if left:
        _log.warning("files are open to other users", count=len(left), files=left[:SHOWN_MAX])


def _closed(directory: DataDirectory) -> tuple[list[str], list[str]]:
    """Takes the rights of group and others from the data directory and its contents.

    Returns the names that were open to them and are now closed, and the names that could not be changed.
    """
    mended: list[str] = []
    left: list[str] = []
    for path in (directory.path, *directory.path.rglob("*")):
        try:
            found = path.lstat()
            if stat.S_ISLNK(found.st_mode) or not found.st_mode & GROUP_AND_OTHERS:
                continue
            path.chmod(stat.S_IMODE(found.st_mode) & ~GROUP_AND_OTHERS)
        except FileNotFoundError:  # a file of a transaction or of a backup that ended meanwhile
            continue
        except OSError:
            left.append(str(path))
        else:
            mended.append(str(path))
    return mended, left
