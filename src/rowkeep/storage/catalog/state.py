"""The catalog version, and the base classes of the files of all nouns.

Each noun of the catalog is one file here and one of the same name in `sql/*/`. The Python file has a class
that reads the noun and a class that reads and edits it. A method is one named statement, or a fixed number of
them whatever is stored, within the transaction that its connection stands for. What a principal may see is
decided in `services/access.py`.

Whatever makes something untrue that was true before (not what only adds) moves the catalog version, so that
batches that were checked before are checked again (services/insert/insert.py).
"""

from rowkeep.model.references import new_identifier, reference_id
from rowkeep.storage.base import Connection, Record


class Reading:
    """Reads one noun, on one snapshot."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def _one(self, statement: str, /, **parameters: object) -> Record:
        """Returns the first record of a statement that always has one.

        Raises LookupError when it has none.
        """
        record = self._connection.record(statement, **parameters)
        if record is None:
            raise LookupError(f"{statement} found nothing for {parameters}")
        return record


class Editing(Reading):
    """Edits one noun, in one transaction that began at `now` (epoch milliseconds)."""

    def __init__(self, connection: Connection, now: int) -> None:
        super().__init__(connection)
        self._now = now

    def _run(self, statement: str, /, **parameters: object) -> None:
        self._connection.records(statement, **parameters)

    def _announce_change(self) -> None:
        """Moves the catalog version."""
        self._run("catalog_changed")

    def _free_identifier(self, taken: str, /, **parameters: object) -> str:
        """Returns a new identifier whose reference id the statement `taken` does not find.

        There are few reference ids, so some are drawn twice.
        """
        while True:
            identifier = new_identifier()
            if self._connection.record(taken, **parameters, reference_id=reference_id(identifier)) is None:
                return identifier


def catalog_version(connection: Connection) -> int:
    """Returns how many transactions have changed the catalog."""
    return int(Reading(connection)._one("catalog_version")["version"])
