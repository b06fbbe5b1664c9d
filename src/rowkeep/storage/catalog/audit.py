"""The audit log (model/audit.py): entries are added and read. They are removed only when they are old."""

import msgspec

from rowkeep.model.audit import AuditAction, AuditEntry, AuditSubject, Origin
from rowkeep.storage.base import Connection, Record
from rowkeep.storage.catalog.records import json_text
from rowkeep.storage.catalog.state import Editing, Reading

LAST_ID = 2**63 - 1


class Audit(Reading):
    """Reads pages of the audit log, newest entries first; a page begins below an entry's id."""

    def all(self, before_id: int, count: int) -> list[AuditEntry]:
        """Returns entries about anything on the server."""
        return _entries(self._connection.records("audit_entries", before_id=before_id, count=count))

    def of_owner(self, owner_id: int, before_id: int, count: int) -> list[AuditEntry]:
        """Returns entries about the things of a user or an organization."""
        found = self._connection.records(
            "audit_entries_of_owner", owner_id=owner_id, before_id=before_id, count=count
        )
        return _entries(found)

    def of_dataset(self, identifier: str, before_id: int, count: int) -> list[AuditEntry]:
        """Returns entries about a dataset and its contents."""
        found = self._connection.records(
            "audit_entries_of_dataset", dataset_identifier=identifier, before_id=before_id, count=count
        )
        return _entries(found)


class AuditEditor(Audit, Editing):
    """Reads the audit log and adds entries for the acts of one origin."""

    def __init__(self, connection: Connection, now: int, origin: Origin) -> None:
        super().__init__(connection, now)
        self._origin = origin

    def add(self, action: AuditAction, subject: AuditSubject, **details: str) -> None:
        """Adds an entry: this transaction does something to a subject."""
        self._run(
            "add_audit_entry",
            now=self._now,
            action=action.value,
            subject=subject.text,
            owner_id=subject.owner_id,
            dataset_identifier=subject.dataset_identifier,
            details=json_text(details),
            **msgspec.structs.asdict(self._origin),
        )

    def prune(self, before: int) -> None:
        """Removes entries that are older than a time (epoch milliseconds)."""
        self._run("prune_audit_entries", before=before)


def _entries(records: list[Record]) -> list[AuditEntry]:
    decoded = [{**record, "details": msgspec.json.decode(record["details"])} for record in records]
    return msgspec.convert(decoded, list[AuditEntry])
