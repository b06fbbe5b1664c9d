"""The one place that builds everything. Plain construction, from the bottom up, a part a file."""
