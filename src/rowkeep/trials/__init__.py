"""The benchmark behind `rowkeep bench`: see docs/performance.md for what it measures and why."""
