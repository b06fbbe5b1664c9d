"""A queue that is fair between uploads: in order within each, in turns over all.

Theory
------
With one line for all, an upload that floods makes everyone wait for everything it has sent. Here each
upload has a line of its own, and the lines take turns. A turn brings a share of bytes; what is taken is
paid from it. A line may overdraw its share with its last item (an item cannot be cut) and pays for that
with its next turns, so over time everybody gets the same number of bytes, whatever the sizes. A debt has
a bound, and ends when the line does: the queue never looks for long for one who may go.

* Items of one upload leave in the order in which they came.
* An upload with items waits at most for the shares of the others, once around, before it has a turn,
  and for DEBT_SHARES_MAX + 1 turns more if it has overdrawn: nobody starves.
* A flood pays for the fairness, and only while somebody else is there: for SHARING_SECONDS after two
  uploads were seen in one queue, `take` gives a round (one share to each line) rather than all that is
  there. Short rounds are what makes it quick for the others: who comes in the middle of one waits for a
  share of the flood and not for the whole of it. Senders that wait for their answers adapt by themselves: the
  flood is answered a share at a time, so it asks the event loop for no more than a share at a time.
* With one upload, or when everything fits in a share, nothing is put off and the order is that of arrival.

Rejected: weighing by requests (an upload with large bodies would get more); limits to the requests in flight
of each upload, before the body is read (what waits there waits in line here, and this is the place that
knows how fast the disk is); a queue for each upload with a bound of its own (ten thousand streams would
need ten thousand bounds, or share one as they do now).

Not safe for threads: each queue is used in one.
"""

import time
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

Item = TypeVar("Item")

SHARE_BYTES = 128 * 1024
DEBT_SHARES_MAX = 16
SHARING_SECONDS = 1.0


class _Line(Generic[Item]):
    """What one upload has in the queue; `credit`, what is left of its shares, may be negative."""

    __slots__ = ("credit", "items")

    def __init__(self, credit: int) -> None:
        self.items: deque[tuple[int, Item]] = deque()
        self.credit = credit


class FairQueue(Generic[Item]):
    """Items with an upload and a size in bytes."""

    def __init__(self, share_bytes: int = SHARE_BYTES, clock: Callable[[], float] = time.monotonic) -> None:
        self._share_bytes = share_bytes
        self._clock = clock
        self._lines: dict[int, _Line[Item]] = {}
        self._turns: deque[int] = deque()
        self._last_upload_id: int | None = None
        self._shared_until = 0.0

    def __len__(self) -> int:
        """How many uploads have items here."""
        return len(self._turns)

    def put(self, upload_id: int, size: int, item: Item) -> None:
        """Adds an item behind those of its upload."""
        if upload_id != self._last_upload_id:
            if self._last_upload_id is not None:
                self._shared_until = self._clock() + SHARING_SECONDS
            self._last_upload_id = upload_id
        line = self._lines.get(upload_id)
        if line is None:
            line = self._lines[upload_id] = _Line(self._share_bytes)
            self._turns.append(upload_id)
        line.items.append((size, item))

    def next(self) -> tuple[int, Item]:
        """The size and the item whose turn it is. There must be one."""
        while True:
            line = self._lines[self._turns[0]]
            if line.credit > 0 or len(self._turns) == 1:
                return line.items[0]
            self._end_turn(line)

    def pop(self) -> Item:
        """Takes out the item that `next` shows."""
        size, item = self.next()
        line = self._lines[self._turns[0]]
        line.items.popleft()
        line.credit = max(line.credit - size, -DEBT_SHARES_MAX * self._share_bytes)
        if not line.items:
            del self._lines[self._turns.popleft()]
        return item

    def take(self, bytes_max: int, is_alone: Callable[[Item], bool]) -> tuple[list[Item], int]:
        """The next items and their size together; none only when the queue is empty.

        At least one, then more until `bytes_max` is reached or, while uploads share, a round is over. An
        item of which `is_alone` holds comes by itself.
        """
        taken: list[Item] = []
        taken_bytes = 0
        turns_left = len(self._turns)
        is_shared = turns_left > 1 or self._clock() < self._shared_until
        while turns_left and taken_bytes < bytes_max:
            line = self._lines[self._turns[0]]
            if not is_shared:
                line.credit = self._share_bytes
            elif line.credit <= 0:
                self._end_turn(line)
                turns_left -= 1
                if not turns_left and not taken:  # all are in debt
                    turns_left = len(self._turns)
                continue
            size, item = line.items[0]
            alone = is_alone(item)
            if alone and taken:
                break
            self.pop()
            turns_left -= not line.items
            taken.append(item)
            taken_bytes += size
            if alone:
                break
        return taken, taken_bytes

    def _end_turn(self, line: _Line[Item]) -> None:
        line.credit += self._share_bytes
        self._turns.rotate(-1)
