"""Notices of commits: functions that are called on the event loop after each commit of rows."""

from collections.abc import Callable, Sequence

from rowkeep.model.resources import Batch


class Commits:
    """The registered functions."""

    def __init__(self) -> None:
        self._listeners: list[Callable[[Sequence[Batch]], None]] = []

    @property
    def has_listeners(self) -> bool:
        """Returns whether there is any function to call."""
        return bool(self._listeners)

    def listen(self, listener: Callable[[Sequence[Batch]], None]) -> None:
        """Registers a function that is called with the batches of each committed group."""
        self._listeners.append(listener)

    def forget(self, listener: Callable[[Sequence[Batch]], None]) -> None:
        """Removes a registered function."""
        self._listeners.remove(listener)

    def announce(self, batches: Sequence[Batch]) -> None:
        """Calls all functions. They must be short and may not fail."""
        for listener in self._listeners:
            listener(batches)
