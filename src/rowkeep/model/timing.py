"""Where the time of an insert goes, as moments on the clock of `time.perf_counter`, in seconds."""

import msgspec


class CommitTimes(msgspec.Struct, frozen=True, gc=False):
    """The moments of the commit of a group; all requests of the group share it."""

    began_at: float
    written_at: float
    """Every row is in its place, and what is left is to make it last."""
    ended_at: float


class InsertTimes(msgspec.Struct, gc=False):
    """The moments of one insert, filled in as it goes along; None where it has not come."""

    began_at: float
    read_at: float | None = None
    """The whole body is there."""
    checked_at: float | None = None
    """Its rows fit, and wait for the disk."""
    commit: CommitTimes | None = None

    def start_over(self) -> None:
        """The rows must be checked again."""
        self.checked_at = self.commit = None
