"""`rowkeep insert`: an input, cut into chunks, each sent as one request. See docs/guide-insert-files.md.

    tap (bytes) → cutter (chunks) → form (batches) → client.Pipeline → checkpoint, quarantine

The key of a batch is made of the source, the place of its chunk and a digest of its bytes. The source is a
name: by default one made from the path of a file, so that it is the same in every run.
"""

import hashlib
import os
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Literal

import msgspec

from rowkeep.client.asking import Asker
from rowkeep.client.batches import Batch, Outcome, insert_fitting, insert_whole
from rowkeep.client.connection import Connection, parse_address, table_path, upload_path
from rowkeep.client.errors import RefusedRow, RowsRefused
from rowkeep.client.files.checkpoint import Checkpoint, State, new_source
from rowkeep.client.files.chunks import Cutter, Form
from rowkeep.client.files.delimited import CsvForm, Dialect
from rowkeep.client.files.ndjson import NdjsonForm
from rowkeep.client.files.progress import Progress
from rowkeep.client.files.standing import Standing
from rowkeep.client.files.taps import GrowingFile, Pipe, RegularFile, Tap
from rowkeep.client.patience import Notice, RetryPolicy
from rowkeep.client.pipeline import Pipeline
from rowkeep.client.places import written_reference
from rowkeep.client.quarantine import QuarantineFile
from rowkeep.client.retrying import Sender
from rowkeep.client.variables import variable_types

BATCH_BYTES_MAX = 1_000_000
REQUEST_SECONDS_MAX = 60.0


class FileInsertOptions(msgspec.Struct, frozen=True):
    """What to insert, where and how. `file` is None for the standard input."""

    url: str
    token: str
    table: str
    upload: str
    file: Path | None
    form: Literal["ndjson", "csv"]
    dialect: Dialect
    is_following: bool
    state: Path | None
    source: str | None
    is_again: bool
    batch_bytes_max: int
    linger_seconds: float
    in_flight_max: int
    on_error: Literal["abort", "skip", "quarantine"]
    quarantine: Path | None
    retry: RetryPolicy


class FileInsertReport(msgspec.Struct):
    """The result so far. `repeated` counts the inserted rows that an earlier run had already inserted."""

    inserted: int = 0
    repeated: int = 0
    refused: int = 0
    byte_count: int = 0
    seconds: float = 0.0

    @property
    def text(self) -> str:
        """Returns the report as one line."""
        seconds = max(self.seconds, 0.001)
        repeated = f" ({self.repeated:,} of them were in already)" if self.repeated else ""
        return (
            f"{self.inserted:,} rows inserted{repeated}, {self.refused:,} refused, in {self.seconds:.1f} s: "
            f"{self.inserted / seconds:,.0f} rows/s, {self.byte_count / seconds / 1e6:.1f} MB/s"
        )


def run_file_insert(
    options: FileInsertOptions, report: FileInsertReport, is_stopping: threading.Event, notice: Notice
) -> None:
    """Inserts until the input ends or `is_stopping` is set, and keeps `report` up to date.

    `notice` is called with a text about anything that takes long. Raises InsertError, InputChanged,
    ServerDiffers, OSError.
    """
    began_at = time.monotonic()
    try:
        with ExitStack() as stack:
            _FileInsert(options, report, is_stopping, notice, stack).run()
    finally:
        report.seconds = time.monotonic() - began_at


class _FileInsert:
    def __init__(
        self,
        options: FileInsertOptions,
        report: FileInsertReport,
        is_stopping: threading.Event,
        notice: Notice,
        stack: ExitStack,
    ) -> None:
        self._notice = notice
        self._options = options
        self._report = report
        self._is_stopping = is_stopping
        self._stack = stack
        self._descriptor = self._open_input()
        stack.callback(self._close_input)
        self._is_file = options.file is not None and options.file.is_file()
        connection = self._connection()
        stack.callback(connection.close)
        self._asker = Asker(connection, options.retry, is_stopping, notice)
        self._form = self._new_form()
        self._checkpoint = self._new_checkpoint()
        self._source = self._source_name() if self._checkpoint is None else self._checkpoint.state.source
        self._sizes: dict[str, int] = {}
        self._progress = Progress(os.fstat(self._descriptor).st_size if self._is_file else None)
        stack.callback(self._progress.close)
        self._quarantine = self._new_quarantine()

    def run(self) -> None:
        """Inserts the input. If it is a growing file, also inserts each file that later takes its name."""
        pipeline = self._new_pipeline()
        try:
            self._insert_all(pipeline)
        except BaseException:
            self._is_stopping.set()  # what is under way makes no further attempt
            raise

    def _insert_all(self, pipeline: Pipeline) -> None:
        while True:
            tap = self._new_tap()
            self._insert(tap, pipeline)
            pipeline.drain()
            if not isinstance(tap, GrowingFile) or self._is_stopping.is_set():
                return
            assert self._checkpoint is not None
            following = self._open_input()
            self._close_input()
            self._descriptor = following
            self._checkpoint.go_on_with(self._descriptor)
            self._source = self._checkpoint.state.source
            self._quarantine = self._new_quarantine()

    def _insert(self, tap: Tap, pipeline: Pipeline) -> None:
        offset, line = self._form.start(tap)
        planned: dict[int, int] = {}
        if self._checkpoint is not None:
            self._checkpoint.skip(offset, line)
            state = self._checkpoint.state
            offset, line = state.offset, state.line
            planned = {item.start: item.end for item in state.planned}
            self._progress.add(offset, 0, 0)
        cutter = Cutter(tap, self._form, self._options.batch_bytes_max, self._is_stopping)
        for chunk in cutter.chunks(offset, planned):
            batch, line_count = chunk.piece.batch(chunk.key(self._source), line)
            line += line_count
            self._sizes[batch.key] = chunk.size
            if self._checkpoint is not None:
                removed = self._checkpoint.begin(chunk, batch.key, line_count)
                batch = msgspec.structs.replace(batch, removed=removed) if removed else batch
            pipeline.submit(batch)

    def _settled(self, batch: Batch, outcome: Outcome) -> None:
        if self._quarantine is not None:
            self._quarantine.add(outcome.refused)
        if self._checkpoint is not None:
            self._checkpoint.settle(batch, outcome)
        self._report.inserted += outcome.inserted
        self._report.repeated += outcome.repeated
        self._report.refused += len(outcome.refused)
        size = self._sizes.pop(batch.key)
        self._report.byte_count += size
        self._progress.add(size, outcome.inserted, len(outcome.refused))

    def _open_input(self) -> int:
        if self._options.file is None:
            return 0
        return os.open(self._options.file, os.O_RDONLY)

    def _close_input(self) -> None:
        if self._options.file is not None:
            os.close(self._descriptor)

    def _new_tap(self) -> Tap:
        options = self._options
        if self._is_file and options.file is not None:
            if options.is_following:
                return GrowingFile(options.file, self._descriptor, options.linger_seconds, self._is_stopping)
            return RegularFile(self._descriptor)
        linger_seconds = options.linger_seconds if options.source is None else None
        return Pipe(self._descriptor, linger_seconds, self._is_stopping)

    def _new_form(self) -> Form:
        if self._options.form == "ndjson":
            return NdjsonForm()
        table = written_reference(self._options.table)
        types = variable_types(self._asker, table_path(table))
        types |= variable_types(self._asker, upload_path(table, self._options.upload))
        return CsvForm(types, self._options.dialect, self._is_stopping)

    def _new_checkpoint(self) -> Checkpoint | None:
        options = self._options
        if not self._is_file or options.file is None:
            return None
        path = options.state or options.file.with_name(options.file.name + ".rowkeep-state")
        fresh = State(
            source=self._source_name(),
            target=f"{options.url} {options.table} {options.upload}",
            form=options.form,
            bytes_max=options.batch_bytes_max,
        )
        checkpoint = Checkpoint.open(path, self._descriptor, fresh, is_again=options.is_again)
        self._stack.callback(checkpoint.close)
        self._compare(checkpoint)
        return checkpoint

    def _compare(self, checkpoint: Checkpoint) -> None:
        """Reports what has happened to the upload, and sends everything again if rows were lost.

        Raises ServerDiffers.
        """
        table = written_reference(self._options.table)
        standing = Standing(self._asker, table, self._options.upload)
        now = standing.upload()
        difference = standing.difference(checkpoint.state, now)
        checkpoint.note_upload(now.id)
        if difference is None:
            return
        if difference.is_loss:
            again = "The file is sent again from its beginning; what is in already stays once."
            self._notice(f"{difference.sentence} {again}")
            checkpoint.send_again()
        else:
            self._notice(difference.sentence)

    def _new_quarantine(self) -> QuarantineFile | None:
        if self._options.quarantine is None:
            return None
        first_line = 1 if self._checkpoint is None else self._checkpoint.state.line + 1
        quarantine = QuarantineFile(self._options.quarantine, self._source, first_line)
        self._stack.callback(quarantine.close)
        return quarantine

    def _form_name(self) -> str:
        """Returns the form with its options, because other options make other rows of the same bytes."""
        dialect = self._options.dialect
        said = [*([] if dialect.delimiter is None else [f"delimiter={dialect.delimiter!r}"])]
        said += [f"null={null!r}" for null in sorted(dialect.nulls)]
        return " ".join([self._options.form, *said])

    def _source_name(self) -> str:
        name = self._options.source
        if name is None and self._is_file and self._options.file is not None:
            name = str(self._options.file.resolve())
        if name is None:
            return new_source()
        return hashlib.sha256(f"{self._form_name()} {name}".encode()).hexdigest()[:16]

    def _new_pipeline(self) -> Pipeline:
        path = upload_path(self._options.table, self._options.upload) + "/rows"
        senders = [
            Sender(self._connection(), path, self._options.retry, self._is_stopping, self._notice)
            for _ in range(self._options.in_flight_max)
        ]
        pipeline = Pipeline(senders, self._insert_batch, self._settled)
        self._stack.callback(pipeline.close)
        return pipeline

    def _connection(self) -> Connection:
        options = self._options
        return Connection(parse_address(options.url), options.token, REQUEST_SECONDS_MAX)

    def _insert_batch(self, batch: Batch, sender: Sender) -> Outcome:
        if self._checkpoint is not None:
            self._checkpoint.note_sent(batch)
        if self._options.on_error != "abort":
            return insert_fitting(batch, sender, self._note_removed)
        try:
            return insert_whole(batch, sender)
        except RowsRefused:
            if self._checkpoint is not None:
                self._checkpoint.forget(batch)
            raise

    def _note_removed(self, batch: Batch, removed: Sequence[RefusedRow]) -> None:
        if self._checkpoint is not None:
            self._checkpoint.note_removed(batch, removed)
