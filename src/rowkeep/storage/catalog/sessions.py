"""Read sessions: streams of rows that were promised to a reader for some hours."""

from collections.abc import Sequence

from rowkeep.model.resources import ReadStream
from rowkeep.storage.catalog import records
from rowkeep.storage.catalog.state import Editing, Reading


class Sessions(Reading):
    """Reads the streams of read sessions."""

    def stream(self, identifier: str, now: int) -> ReadStream | None:
        """Returns a read stream that has not expired."""
        record = self._connection.record("read_stream", identifier=identifier, now=now)
        return None if record is None else records.read_stream(record)


class SessionEditor(Sessions, Editing):
    """Reads and edits read sessions."""

    def add(self, streams: Sequence[ReadStream]) -> None:
        """Adds the streams of a read session."""
        for stream in streams:
            self._run("add_read_stream", **records.stream_record(stream))

    def prune(self) -> None:
        """Drops the read streams that have expired."""
        self._run("prune_read_streams", now=self._now)
