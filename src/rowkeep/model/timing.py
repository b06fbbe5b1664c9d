"""The times of the steps of an insert, in seconds on the clock of `time.perf_counter`."""

import msgspec


class CommitTimes(msgspec.Struct, frozen=True, gc=False):
    """The times of the commit of a group, which all its requests share."""

    began_at: float
    written_at: float
    """Every row is in its place, and what is left is to make it last."""
    ended_at: float


class InsertTimes(msgspec.Struct, gc=False):
    """The times of one insert, filled in step by step. None for steps that have not been reached."""

    began_at: float
    read_at: float | None = None
    """The whole body is there."""
    checked_at: float | None = None
    """Its rows fit, and wait for the disk."""
    commit: CommitTimes | None = None

    def start_over(self) -> None:
        """Clears the times of checking, because the rows must be checked again."""
        self.checked_at = self.commit = None
