"""Rows against a plain model, step by step: sealed, compacted, swept, restored, they stay the same.

Theory
------
Everything that may happen to rows happens in any order: they are inserted (with keys and repeats) and undone,
their schema grows, they move from entries to segments and to larger ones, files are swept between the
writing of a segment and its naming, versions are released and begun, uploads are deleted and forgotten, the
server starts again or goes on from a restored backup. The bounds of pieces, batches, steps, row groups and
segments are so small that a dozen rows meet all of them.

After each step every table of every version holds exactly the model's rows in the model's order, in one of
the formats (they take turns), and says how many; every read session shows what it showed when it was
opened, each of its streams from some offset; and now and then `verify` reads everything back.
"""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as some
from hypothesis.stateful import invariant, rule, run_state_machine_as_test

from rowkeep.model.errors import ErrorCode, RowkeepError
from rowkeep.model.resources import Segment, UnsealedUpload
from rowkeep.services.maintenance import SealingPolicy, drop_entries
from rowkeep.services.read.read import read_request
from rowkeep.services.upkeep import prune
from rowkeep.storage.backups.making import back_up
from rowkeep.storage.backups.restoring import restore
from rowkeep.storage.verification import verify
from tests.unit.insert_machine import InsertMachine
from tests.unit.row_machine import ANY, TABLES, Reading, Session, reference_of
from tests.unit.row_model import (
    TypedTable,
    expected,
)
from tests.unit.version_model import ModelVersion

POLICY = SealingPolicy(seal_bytes_min=200, seal_minutes_max=10.0, journal_bytes_max=1_000)
FORMATS = ("arrow", "csv", "jsonl")
SESSION_HOURS = 6
SESSIONS_MAX = 3
READINGS_MAX = 2


class Rows(InsertMachine):
    """One dataset, all that can happen to its rows, and what every reader must see after each step."""

    def __init__(self) -> None:
        super().__init__()
        self.sessions: list[Session] = []
        self.readings: list[Reading] = []
        self.unnamed: list[Segment] = []
        self.maintained = self.world.maintenance_under(POLICY)
        self.steps = 0

    def teardown(self) -> None:
        try:
            self.verify_everything()
            self.only_what_is_needed_stays()
        finally:
            super().teardown()

    # Rows move.

    @rule(number=ANY)
    def seal(self, number: int) -> None:
        """Seals what fits into one segment, of one upload."""
        waiting = self.waiting()
        if waiting:
            assert self.world.run(self.world.maintenance.seal(waiting[number % len(waiting)]))

    @rule()
    def seal_what_is_due(self) -> None:
        """Seals what the policy says: large uploads, released ones, and any when the journal is full."""
        for upload in self.world.run(self.maintained.look()):
            assert self.world.run(self.maintained.seal(upload))

    @rule(number=ANY)
    def write_segment(self, number: int) -> None:
        """Writes a segment, to be named later or never."""
        waiting = self.waiting()
        if waiting:
            upload = waiting[number % len(waiting)]
            segment = self.world.run(self.world.sealer.seal(upload.upload_id, upload.first_row))
            assert segment is not None
            self.unnamed.append(segment)

    @rule(drops=some.booleans())
    def name_segment(self, drops: bool) -> None:
        """Names the oldest unnamed segment if it is still of use; a crash may leave its entries behind."""
        if self.unnamed:
            segment = self.unnamed.pop(0)
            if self.world.name_sealed(segment) and drops:
                self.world.run(drop_entries(self.world.doors, segment.upload_id, segment.row_end))

    @rule()
    def compact(self) -> None:
        """Makes larger segments of small ones wherever it is worth it."""
        for upload_id in self.world.run(
            self.world.doors.read(lambda view: view.segments.uploads_to_compact(4_000, 2))
        ):
            self.world.run(self.world.maintenance.compact(upload_id))

    @rule()
    def seal_all_and_compact(self) -> None:
        """Leaves the journal empty, and as few segments as can be."""
        self.world.seal()
        self.compact()

    @rule()
    def tidy(self) -> None:
        """Removes files that nothing names, and entries that a crash has left beside their segment."""
        self.unnamed.clear()
        self.world.sweep()
        self.world.run(self.world.maintenance.recover())

    def waiting(self) -> list[UnsealedUpload]:
        """The uploads with rows in the journal."""
        return self.world.run(self.world.doors.read(lambda view: view.entries.uploads_to_seal(0, 100)))

    # Servers come and go.

    @rule(from_backup=some.booleans())
    def start_again(self, from_backup: bool) -> None:
        """Closes the database and opens it again, or a copy of it that went through a backup."""
        folder = self.world.folder
        if from_backup:
            backup, folder = (self.folder / f"{name}-{next(self.numbers)}" for name in ("backup", "data"))
            back_up(self.world.directory, backup)
            assert restore(backup, folder).problems == ()
        self.go_on_with(folder)

    def go_on_with(self, folder: Path) -> None:
        """Opens a data directory in place of the one before."""
        self.readings.clear()
        self.unnamed.clear()
        self.world.close()
        self.open(folder)
        self.maintained = self.world.maintenance_under(POLICY)

    @rule(hours=some.integers(0, 6))
    def upkeep(self, hours: int) -> None:
        """Some hours later: prunes, and forgets the rows that nobody may ask for any more."""
        if hours == SESSION_HOURS:
            self.expire_sessions()
        self.world.run(prune(self.world.doors))
        self.world.forget_deleted()

    def expire_sessions(self) -> None:
        """Sessions end, and say so."""
        self.world.expire_sessions()
        for stream in (stream for session in self.sessions for stream in session.streams):
            with pytest.raises(RowkeepError) as refusal:
                self.world.streamed(stream)
            assert refusal.value.code is ErrorCode.NOT_FOUND
        self.sessions.clear()

    # Rows are read.

    @rule(number=ANY, name=TABLES, format_name=some.sampled_from(FORMATS), stream_count=some.integers(1, 5))
    def open_session(self, number: int, name: str, format_name: str, stream_count: int) -> None:
        """Opens a read session, to be read after every later step."""
        version, table = self.seen(number, name)
        if table is None or len(self.sessions) == SESSIONS_MAX:
            return
        names, rows_max = some_of(table, number)
        request = read_request(reference_of(table, version.text), None, format_name, names, rows_max)
        opened = self.world.run(self.world.reads.open_session(self.owner, request, stream_count))
        shows = expected(table.merged(), table.content(), names, rows_max)
        row_count = len(shows.rows)
        assert opened.row_count == row_count
        assert len(opened.streams) == max(1, min(stream_count, row_count))
        self.sessions.append(Session(opened.streams, format_name, shows))

    @rule(number=ANY, name=TABLES, format_name=some.sampled_from(FORMATS))
    def open_reading(self, number: int, name: str, format_name: str) -> None:
        """Begins to read some of a table; each later step of the machine takes one part."""
        version, table = self.seen(number, name)
        if table is None or len(self.readings) == READINGS_MAX:
            return
        names, rows_max = some_of(table, number)
        request = read_request(reference_of(table, version.text), None, format_name, names, rows_max)
        parts = self.world.run(self.world.reads.list_rows(self.owner, request))
        shows = expected(table.merged(), table.content(), names, rows_max)
        self.readings.append(Reading(parts, format_name, shows, table.content()))

    def seen(self, number: int, name: str) -> tuple[ModelVersion, TypedTable | None]:
        """A table of one of the versions."""
        version = self.model.versions[number % len(self.model.versions)]
        return version, version.table(name)

    @rule()
    def verify_everything(self) -> None:
        """Reads everything back; files that nothing names yet are no mistake here."""
        report = verify(self.world.database, self.world.directory)
        assert [problem for problem in report.problems if "named by nothing" not in problem] == []

    def only_what_is_needed_stays(self) -> None:
        """Without sessions, what was deleted goes: rows and files."""
        self.world.expire_sessions()
        self.world.run(self.world.maintenance.recover())
        while self.world.run(self.world.doors.read(lambda view: view.uploads.forgettable(2**60, 1))):
            self.world.forget_deleted()
        self.world.seal()
        self.world.sweep()
        assert verify(self.world.database, self.world.directory).problems == ()
        uploads = {
            upload.identity: upload
            for version in self.model.versions
            for table in version.tables
            for upload in table.content()
        }
        assert self.world.rows_kept() == sum(upload.row_end for upload in uploads.values())

    # What must hold after every step.

    @invariant()
    def tables_hold_what_was_sent(self) -> None:
        """Every table of every version, in the formats by turns; `numRows` is exact."""
        self.steps += 1
        for version in self.model.versions:
            found = self.world.run(self.tables.page(self.owner, f"ada.survey:{version.text}", 0, 100))
            assert {view.table.name: view.content.row_count for view in found} == {
                table.name: sum(len(upload.rows) for upload in table.content()) for table in version.tables
            }
            for table in version.tables:
                format_name = FORMATS[self.steps % len(FORMATS)]
                request = read_request(reference_of(table, version.text), None, format_name, None, None)
                parts = self.world.run(self.world.reads.list_rows(self.owner, request))
                shows = expected(table.merged(), table.content())
                shows.check(format_name, b"".join(self.world.rest(parts)))

    @invariant()
    def sessions_show_their_moment(self) -> None:
        """A session shows the same rows, whatever was deleted or moved since, from any row on."""
        for session in self.sessions:
            for stream, shows in session.parts():
                offset = self.steps * 7 % (len(shows.rows) + 1)
                body = self.world.streamed(stream, offset=offset, with_sentinel=False)
                shows.part(offset, len(shows.rows)).check(session.format, body)

    @invariant()
    def readings_end_with_their_moment(self) -> None:
        """A reading that goes on beside everything else ends whole, or says that its rows were deleted."""
        for reading in self.readings[:]:
            try:
                part = self.world.next_part(reading.parts)
            except RowkeepError as error:
                assert error.code is ErrorCode.NOT_FOUND
                assert any(upload.is_deleted for upload in reading.uploads)
                self.readings.remove(reading)
                continue
            if part is None:
                reading.shows.check(reading.format, reading.received)
                self.readings.remove(reading)
            reading.received += part or b""


def some_of(table: TypedTable, number: int) -> tuple[list[str] | None, int | None]:
    """Now and then some of a table's variables, the last first, and not all of its rows."""
    names = [variable.name for variable in reversed(table.merged().values())][: 1 + number % 4]
    return names if names and number % 2 else None, number % 11 if number % 3 == 0 else None


def machine_settings(*, examples: int, steps: int) -> settings:
    """So many runs of so many steps."""
    return settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
    )


def test_rows_are_as_they_were_sent() -> None:
    """Some hundred steps in any order."""
    run_state_machine_as_test(Rows, settings=machine_settings(examples=16, steps=40))


@pytest.mark.long
def test_rows_are_as_they_were_sent_for_long() -> None:
    """More than 10,000 steps in any order."""
    run_state_machine_as_test(Rows, settings=machine_settings(examples=200, steps=80))
