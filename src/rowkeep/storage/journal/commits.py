"""Who wants to hear of commits of rows, and is told on the event loop after each. Nobody: nothing happens."""

from collections.abc import Callable, Sequence

from rowkeep.model.resources import Batch


class Commits:
    """Those who listen."""

    def __init__(self) -> None:
        self._listeners: list[Callable[[Sequence[Batch]], None]] = []

    @property
    def has_listeners(self) -> bool:
        """Whether it is worth to announce anything."""
        return bool(self._listeners)

    def listen(self, listener: Callable[[Sequence[Batch]], None]) -> None:
        """Has a function called with the batches of each group that was committed."""
        self._listeners.append(listener)

    def forget(self, listener: Callable[[Sequence[Batch]], None]) -> None:
        """Has it called no more."""
        self._listeners.remove(listener)

    def announce(self, batches: Sequence[Batch]) -> None:
        """Calls all who listen; what they do must be short and may not fail."""
        for listener in self._listeners:
            listener(batches)
