"""Read sessions: rows that a reader can read for some hours."""

from rowkeep.model.read_sessions import ReadSession, SessionUse
from rowkeep.storage.catalog import records
from rowkeep.storage.catalog.records import the_noun
from rowkeep.storage.catalog.state import Editing, Reading


class Sessions(Reading):
    """Reads read sessions."""

    def find(self, identifier: str, now: int) -> ReadSession | None:
        """Returns a read session that has not expired."""
        record = self._connection.record("read_session", identifier=identifier, now=now)
        return None if record is None else records.read_session(record)

    def use(self, opener_id: int, now: int) -> SessionUse:
        """Returns how many unexpired sessions one opener has, and how much they take."""
        return the_noun(SessionUse, self._one("read_sessions_of_opener", opener_id=opener_id, now=now))


class SessionEditor(Sessions, Editing):
    """Reads and edits read sessions."""

    def add(self, session: ReadSession) -> None:
        """Adds a read session."""
        self._run("add_read_session", **records.session_record(session))

    def prune(self) -> None:
        """Deletes the read sessions that have expired."""
        self._run("prune_read_sessions", now=self._now)
