"""`rowkeep verify`: reads everything back and says what is not as it was written.

Each upload is looked at on a snapshot of its own, so a server may go on writing. Of every upload must hold:
its entries follow each other without a gap from row 0 on, each entry's checksum is right and its rows
decode with the schema it names, and rows and bytes add up to what the upload's counters say.
"""

from collections.abc import Iterator

import msgspec

from rowkeep.model.decoding import row_decoder
from rowkeep.model.errors import RowkeepError
from rowkeep.model.resources import Entry
from rowkeep.storage.base import Connection, Database
from rowkeep.storage.catalog import SqlCatalogView
from rowkeep.storage.journal import entry_lines
from rowkeep.storage.records import nouns

STREAMS_PER_PAGE = 1_000
READ_BYTES_MAX = 4 * 1024 * 1024
ROW_END = 2**63 - 1


class VerificationReport(msgspec.Struct, frozen=True):
    """What was read and what is wrong with it; nothing when `problems` is empty."""

    upload_count: int
    row_count: int
    problems: tuple[str, ...]

    @property
    def text(self) -> str:
        """A line that sums up, and one for each problem."""
        verdict = "everything is whole" if not self.problems else f"{len(self.problems)} problems"
        head = f"{self.row_count:,} rows in {self.upload_count:,} uploads read back: {verdict}."
        return "\n".join([head, *self.problems])


def verify(database: Database) -> VerificationReport:
    """Reads a database back."""
    problems = database.problems()
    upload_count = row_count = after_id = 0
    while page := _stream_ids(database, after_id):
        for upload_id in page:
            with database.reading() as connection:
                found, rows = _stream_problems(connection, upload_id)
            problems += [f"upload {upload_id}: {problem}" for problem in found]
            upload_count += 1
            row_count += rows
        after_id = page[-1]
    return VerificationReport(upload_count, row_count, tuple(problems))


def _stream_ids(database: Database, after_id: int) -> list[int]:
    with database.reading() as connection:
        records = connection.records("streams", after_id=after_id, count=STREAMS_PER_PAGE)
    return [record["upload_id"] for record in records]


def _stream_problems(connection: Connection, upload_id: int) -> tuple[list[str], int]:
    """What is wrong with an upload, and how many rows of it could be read."""
    counters = connection.record("stream", upload_id=upload_id)
    if counters is None:
        return [], 0  # deleted since it was listed
    view = SqlCatalogView(connection)
    row_count = byte_count = 0
    for entry in _entries(connection, upload_id):
        if entry.first_row != row_count:
            return [f"the entry after row {row_count} begins at row {entry.first_row}"], row_count
        problem = _entry_problem(view, entry)
        if problem is not None:
            return [problem], row_count
        row_count += entry.row_count
        byte_count += entry.byte_count
    if (row_count, byte_count) == (counters["row_count"], counters["byte_count"]):
        return [], row_count
    said = f"{counters['row_count']} rows and {counters['byte_count']} bytes"
    return [f"it should hold {said}, and holds {row_count} and {byte_count}"], row_count


def _entries(connection: Connection, upload_id: int) -> Iterator[Entry]:
    """All entries there are, whether or not they follow each other."""
    row = 0
    while records := connection.records(
        "entries", upload_id=upload_id, first_row=row, row_end=ROW_END, bytes_max=READ_BYTES_MAX
    ):
        yield from nouns(Entry, records)
        row = records[-1]["first_row"] + 1


def _entry_problem(view: SqlCatalogView, entry: Entry) -> str | None:
    try:
        lines = entry_lines(entry)
        rows = row_decoder(view.schema(entry.upload_id, entry.schema_version)).read(lines)
    except (RowkeepError, LookupError, ValueError) as error:
        return f"the entry at row {entry.first_row} cannot be read: {error}"
    if len(rows) != entry.row_count or len(lines) != entry.byte_count:
        return f"the entry at row {entry.first_row} holds {len(rows)} rows, not {entry.row_count}"
    return None
