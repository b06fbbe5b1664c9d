"""`rowkeep verify`: reads everything back and reports what is not as it was written.

Each upload is looked at on a snapshot of its own, so a server may go on writing. Of every upload must hold:
its segments follow each other without a gap from row 0 on, and its entries from the last segment's end on;
each block of a segment's file and each entry has the checksum it was written with, and the rows decode with
the schema they name; rows and bytes add up to what the upload's counters say; the chain that the rows make is
the one that its last receipt told (chaining.py). Of rows that were accepted before there were chains only
the rest can be said, and their number is told. Each row of its quarantine has its checksum too.

Of every raw file must hold: its content is there, and is what was sent (its SHA-256 is its name).

Files that no segment names are garbage, which the server removes; they are looked for only where no server
runs.
"""

from collections.abc import Iterator
from pathlib import Path

import msgspec

from rowkeep.model.decoding.strict import row_decoder
from rowkeep.model.errors import RowkeepError
from rowkeep.model.resources import Entry, Segment
from rowkeep.storage.base import Database, Record, SegmentStore
from rowkeep.storage.catalog.catalog import CatalogView
from rowkeep.storage.journal.entries import entry_lines
from rowkeep.storage.local_files import DataDirectory
from rowkeep.storage.opening import open_segments
from rowkeep.storage.raw_contents import digest_of_file
from rowkeep.storage.segments.chaining import ChainReading
from rowkeep.storage.segments.parquet import SegmentFile

STREAMS_PER_PAGE = 1_000
SEGMENTS_PER_PAGE = 1_000
ROWS_PER_PAGE = 1_000
READ_BYTES_MAX = 4 * 1024 * 1024
ROW_END = 2**63 - 1


class VerificationReport(msgspec.Struct, frozen=True):
    """What was read, and what is wrong with it. Nothing is wrong when `problems` is empty."""

    upload_count: int
    row_count: int
    problems: tuple[str, ...]
    unchained_row_count: int = 0

    @property
    def text(self) -> str:
        """Returns a line that sums up, and one for each problem."""
        verdict = "everything is whole" if not self.problems else f"{len(self.problems)} problems"
        head = f"{self.row_count:,} rows in {self.upload_count:,} uploads read back: {verdict}."
        unchained = f"{self.unchained_row_count:,} rows are older than the chains of their uploads."
        return "\n".join([head, *([unchained] if self.unchained_row_count else []), *self.problems])


def verify(database: Database, directory: DataDirectory) -> VerificationReport:
    """Reads a data directory back. Returns a report."""
    store = open_segments(directory)
    problems = database.problems()
    upload_count = row_count = unchained = after_id = 0
    while page := _stream_ids(database, after_id):
        for upload_id in page:
            with database.reading() as connection:
                stream = _Stream(CatalogView(connection), store, upload_id)
                problems += [f"upload {upload_id}: {problem}" for problem in stream.problems()]
            upload_count += 1
            row_count += stream.row_count
            unchained += stream.unchained_row_count
        after_id = page[-1]
    problems += raw_file_problems(database, directory)
    problems += _unnamed_files(database, directory)
    return VerificationReport(upload_count, row_count, tuple(problems), unchained)


def _stream_ids(database: Database, after_id: int) -> list[int]:
    with database.reading() as connection:
        return CatalogView(connection).uploads.ids(after_id, STREAMS_PER_PAGE)


def raw_file_problems(database: Database, directory: DataDirectory) -> list[str]:
    """Returns what is wrong with the contents of raw files."""
    with database.reading() as connection:
        contents = CatalogView(connection).raw_files.contents()
    problems = ((name, _content_problem(directory.raw_files / name, name)) for name in sorted(contents))
    return [f"raw_files/{name} {problem}" for name, problem in problems if problem is not None]


def _content_problem(path: Path, sha256: str) -> str | None:
    try:
        found = digest_of_file(path)
    except OSError as error:
        return f"cannot be read: {error}"
    return None if found.sha256 == sha256 else "is not what was sent"


def _unnamed_files(database: Database, directory: DataDirectory) -> list[str]:
    try:
        with directory.locked():
            with database.reading() as connection:
                named = CatalogView(connection).segments.file_names()
            present = open_segments(directory).names()
    except BlockingIOError:
        return []  # a server runs: what it has written and not yet named is no garbage
    return [f"segments/{name} is named by nothing" for name in sorted(present - named)]


class _Stream:
    """One upload, read back from its first row on. `row_count` and `byte_count` are those read so far."""

    def __init__(self, view: CatalogView, store: SegmentStore, upload_id: int) -> None:
        self._view = view
        self._store = store
        self._upload_id = upload_id
        self.row_count = 0
        self.byte_count = 0
        self.unchained_row_count = 0

    def problems(self) -> list[str]:
        """Returns what is wrong. The list ends with the first problem that makes the rest unreadable."""
        counters = self._view.uploads.counters(self._upload_id)
        if counters is None:
            return []  # deleted since it was listed
        problem = self._segments_problem() or self._sealed_problem(counters) or self._entries_problem()
        if problem is not None:
            return [problem]
        self.unchained_row_count = counters["chain_first_row"]
        if counters["removed_row_count"] != counters["removed_row_sum"]:
            said = counters["removed_row_count"]
            return [f"{said} of its rows should be removed, not {counters['removed_row_sum']}"]
        if (self.row_count, self.byte_count) == (counters["row_count"], counters["byte_count"]):
            problem = self._chain_problem()
            return [*([] if problem is None else [problem]), *self._quarantine_problems()]
        said = f"{counters['row_count']} rows and {counters['byte_count']} bytes"
        return [f"it should hold {said}, and holds {self.row_count} and {self.byte_count}"]

    def _quarantine_problems(self) -> list[str]:
        held = self._view.quarantine.find(self._upload_id)
        row_count = after_id = 0
        try:
            while rows := self._view.quarantine.rows(
                self._upload_id, after_id, ROWS_PER_PAGE, bytes_max=READ_BYTES_MAX
            ):
                row_count += len(rows)
                after_id = rows[-1].id
        except (RowkeepError, ValueError) as error:
            return [f"its quarantine cannot be read after row {after_id}: {error}"]
        if row_count == held.row_count:
            return []
        return [f"its quarantine should hold {held.row_count} rows, and holds {row_count}"]

    def _segments_problem(self) -> str | None:
        for segment in self._segments():
            if segment.first_row != self.row_count:
                return f"the segment after row {self.row_count} begins at row {segment.first_row}"
            problem = self._segment_problem(segment)
            if problem is not None:
                return problem
            self.row_count += segment.row_count
            self.byte_count += segment.byte_count
        return None

    def _sealed_problem(self, counters: Record) -> str | None:
        said = (counters["sealed_row_count"], counters["sealed_byte_count"])
        if said == (self.row_count, self.byte_count):
            return None
        return (
            f"{said[0]} rows and {said[1]} bytes should be sealed, not {self.row_count} and {self.byte_count}"
        )

    def _entries_problem(self) -> str | None:
        for entry in self._entries():
            if entry.first_row != self.row_count:
                return f"the entry after row {self.row_count} begins at row {entry.first_row}"
            problem = self._entry_problem(entry)
            if problem is not None:
                return problem
            self.row_count += entry.row_count
            self.byte_count += entry.byte_count
        return None

    def _chain_problem(self) -> str | None:
        reading = ChainReading(self._store, self._upload_id)
        outcome = None
        while outcome is None:
            outcome = reading.step(self._view)
        return outcome.problem

    def _segments(self) -> Iterator[Segment]:
        row = 0
        while found := self._view.segments.page(self._upload_id, row, SEGMENTS_PER_PAGE):
            yield from found
            row = found[-1].first_row + 1

    def _segment_problem(self, segment: Segment) -> str | None:
        whole = self._view.segments.at(self._upload_id, segment.first_row)
        if whole is None:
            return f"the segment at row {segment.first_row} cannot be found"
        try:
            schema = self._view.uploads.schema(self._upload_id, segment.schema_version)
            file = SegmentFile(self._store, whole)
            file.check_blocks()
            groups = file.groups([variable.name for variable in schema.variables], 0, whole.row_count)
            found = sum(len(group) for group in groups)
        except (RowkeepError, LookupError, ValueError) as error:
            return f"the segment at row {segment.first_row} cannot be read: {error}"
        if found != segment.row_count:
            return f"the segment at row {segment.first_row} holds {found} rows, not {segment.row_count}"
        return None

    def _entries(self) -> Iterator[Entry]:
        """Yields all entries of rows that are not in segments, whether or not they follow each other."""
        row = self.row_count
        while found := self._view.entries.beginning(self._upload_id, row, ROW_END, READ_BYTES_MAX):
            yield from found
            row = found[-1].first_row + 1

    def _entry_problem(self, entry: Entry) -> str | None:
        try:
            lines = entry_lines(entry)
            rows = row_decoder(self._view.uploads.schema(entry.upload_id, entry.schema_version)).read(lines)
        except (RowkeepError, LookupError, ValueError) as error:
            return f"the entry at row {entry.first_row} cannot be read: {error}"
        if len(rows) != entry.row_count or len(lines) != entry.byte_count:
            return f"the entry at row {entry.first_row} holds {len(rows)} rows, not {entry.row_count}"
        return None
