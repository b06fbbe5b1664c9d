"""`rowkeep recover`: a new database of the segments, where the old one is lost."""

import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import click

from rowkeep.commands.data_directory import command_origin, data_dir_option
from rowkeep.commands.output import plural
from rowkeep.model.resources import OwnerKind
from rowkeep.storage.local_files import DataDirectory
from rowkeep.storage.marker import check_database_lost
from rowkeep.storage.recovery.finding import FoundUpload
from rowkeep.storage.recovery.recovering import Recovery, recover
from rowkeep.storage.recovery.writing import NAMELESS, place_of

NOT_RECOVERED = """\
Only rowkeep.db knew the rest, and it is not in the new one:
- rows that were not sealed yet: those that came last to each upload, and uploads that were never sealed;
- tokens, members of organizations and grants: nobody can sign in yet, and every data set is private;
- which versions were released, and what was deleted: all uploads are in the next version of their data set,
  also those that were deleted or replaced shortly before;
- which requests were undone: their rows are shown again; and the keys of requests: a repeat inserts again;
- labels, descriptions and notes; rows in quarantine; files that waited to be loaded; queries and exports;
- which content the files of file index tables have: a server moves the contents to lost+found/raw_files;
- the audit log.
Names are as they were when each segment was written."""
NAMELESS_SEGMENTS = (
    f"What is in {NAMELESS}.{NAMELESS} comes from segments that do not say where they were: an earlier "
    "rowkeep wrote them. They do not tell text from geography either."
)


@click.command("recover")
@data_dir_option
def recover_command(data_dir: Path) -> None:
    """Make a new database of the segments, for a data directory that has lost rowkeep.db.

    A backup is better where there is one. Exit status 1 says that some segments could not be used.
    """
    check_database_lost(data_dir)
    recovery = recover(DataDirectory(data_dir), command_origin())
    for line in _lines(recovery):
        click.echo(line)
    for problem in recovery.problems:
        click.echo(f"rowkeep: {problem}", err=True)
    sys.exit(1 if recovery.problems else 0)


def _lines(recovery: Recovery) -> list[str]:
    uploads = recovery.uploads
    rows = sum(upload.row_count for upload in uploads)
    return [
        f"Recovered {plural(len(uploads), 'upload')} with {plural(rows, 'row')}:",
        *_dataset_lines(recovery),
        NOT_RECOVERED,
        *([NAMELESS_SEGMENTS] if any(upload.place is None for upload in uploads) else []),
        "Next:",
        *_advice(uploads),
    ]


def _dataset_lines(recovery: Recovery) -> list[str]:
    rows: Counter[str] = Counter()
    for upload in recovery.uploads:
        place = place_of(upload)
        rows[f"{place.owner_name}.{place.dataset_name}"] += upload.row_count
    return [f"  {name}  {plural(count, 'row')}" for name, count in sorted(rows.items())]


def _advice(uploads: Sequence[FoundUpload]) -> list[str]:
    """Returns the commands that make recovered data reachable.

    Recovered owners have no tokens, and organizations no members.
    """
    owners = {(place_of(upload).owner_kind, place_of(upload).owner_name) for upload in uploads}
    users = sorted(name for kind, name in owners if kind is OwnerKind.USER)
    organizations = sorted(name for kind, name in owners if kind is OwnerKind.ORGANIZATION)
    user = users[0] if users else "NAME"
    return [
        *([] if users else ["  rowkeep user create NAME"]),
        *(f"  rowkeep organization add-member {name} {user} --admin" for name in organizations),
        *(f"  rowkeep token create --user {name}" for name in users or ["NAME"]),
        "  rowkeep verify",
    ]
