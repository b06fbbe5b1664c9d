"""Counts of durations between bounds, like Prometheus' histograms."""

from bisect import bisect_left

# Seconds. An insert takes milliseconds, a query or a load of a page minutes.
BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0)


class Histogram:
    """Durations, in seconds. Used on one event loop; noting one takes a fraction of a microsecond."""

    __slots__ = ("_counts", "sum_seconds")

    def __init__(self) -> None:
        self._counts = [0] * (len(BOUNDS) + 1)
        self.sum_seconds = 0.0

    def note(self, seconds: float) -> None:
        """Adds a duration."""
        self._counts[bisect_left(BOUNDS, seconds)] += 1
        self.sum_seconds += seconds

    def buckets(self) -> list[tuple[str, float]]:
        """Returns how many durations were at most each bound; the last counts them all."""
        total = 0
        found: list[tuple[str, float]] = []
        for bound, count in zip((*BOUNDS, float("inf")), self._counts, strict=True):
            total += count
            found.append(("+Inf" if bound == float("inf") else str(bound), total))
        return found
