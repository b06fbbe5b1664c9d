"""Makes the next item while the last one is in use."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def one_ahead(make: Callable[[Item], Result], items: Sequence[Item]) -> Iterator[Result]:
    """Yields `make` of each item in order. A thread makes the next one while the last is in use.

    This pays when `make` releases the interpreter's lock. An exception of `make` is raised in place of its
    result.
    """
    if len(items) < 2:
        yield from map(make, items)
        return
    thread = ThreadPoolExecutor(1, thread_name_prefix="rowkeep-ahead")
    try:
        upcoming = thread.submit(make, items[0])
        for item in items[1:]:
            made = upcoming.result()
            upcoming = thread.submit(make, item)
            yield made
        yield upcoming.result()
    finally:
        thread.shutdown(wait=False, cancel_futures=True)  # whoever stops early need not wait
