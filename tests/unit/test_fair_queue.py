"""The fair queue against a plain model: order within an upload, nobody starves, bytes are shared."""

from collections import defaultdict

from hypothesis import given
from hypothesis import strategies as st

from rowkeep.storage.fairqueue import DEBT_SHARES_MAX, FairQueue

SHARE = 100
Item = tuple[int, int, int]  # upload, number within it, size


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def fair_queue(clock: Clock | None = None) -> FairQueue[Item]:
    """A queue with small shares."""
    return FairQueue(SHARE, clock or Clock())


def fill(queue: FairQueue[Item], upload_id: int, sizes: list[int]) -> list[Item]:
    """Puts items of one upload into the queue."""
    items = [(upload_id, number, size) for number, size in enumerate(sizes)]
    for item in items:
        queue.put(upload_id, item[2], item)
    return items


def never(item: Item) -> bool:
    del item
    return False


def is_odd(item: Item) -> bool:
    return item[2] % 2 == 1


steps = st.lists(
    st.one_of(
        st.tuples(st.integers(0, 3), st.integers(0, 5 * SHARE)),  # put: upload, size
        st.just("take"),
        st.just("pop"),
        st.sampled_from([0.5, 2.0]),  # time passes
    ),
    max_size=60,
)


@given(steps, st.integers(1, 4 * SHARE))
def test_everything_comes_out_once_and_in_order(steps: list[object], bytes_max: int) -> None:
    """Whatever is put, popped and taken: each upload's items leave in the order they came, none lost."""
    clock = Clock()
    queue = fair_queue(clock)
    inside: dict[int, list[Item]] = defaultdict(list)
    count = 0

    def leave(item: Item) -> None:
        assert inside[item[0]].pop(0) == item

    for step in steps:
        if isinstance(step, tuple):
            upload_id, size = step
            count += 1
            inside[upload_id].append((upload_id, count, size))
            queue.put(upload_id, size, (upload_id, count, size))
        elif isinstance(step, float):
            clock.now += step
        elif step == "pop" and queue:
            size, shown = queue.next()
            assert size == shown[2]
            assert queue.pop() is shown
            leave(shown)
        elif step == "take":
            taken, size = queue.take(bytes_max, is_odd)
            assert bool(taken) == any(inside.values())
            assert size == sum(item[2] for item in taken)
            assert sum(item[2] for item in taken[:-1]) < bytes_max
            assert len(taken) <= 1 or not any(is_odd(item) for item in taken)
            for item in taken:
                leave(item)
        assert len(queue) == sum(1 for items in inside.values() if items)
    while queue:
        for item in queue.take(bytes_max, is_odd)[0]:
            leave(item)
    assert not any(inside.values())


@given(
    st.lists(st.lists(st.integers(1, 3 * SHARE), min_size=40, max_size=40), min_size=2, max_size=4),
    st.integers(1, 4 * SHARE),
)
def test_uploads_get_the_same_bytes(sizes: list[list[int]], bytes_max: int) -> None:
    """While all have items, none is ahead of another by more than its share, its last item and a round."""
    queue = fair_queue()
    left = dict(enumerate(map(len, sizes)))
    for upload_id, of_upload in enumerate(sizes):
        fill(queue, upload_id, of_upload)
    served = dict.fromkeys(left, 0)
    while all(left.values()):
        for upload_id, _, size in queue.take(bytes_max, never)[0]:
            served[upload_id] += size
            left[upload_id] -= 1
            if not left[upload_id]:
                break
        assert max(served.values()) - min(served.values()) <= 2 * SHARE + 2 * 3 * SHARE


@given(st.lists(st.integers(1, 5 * SHARE), min_size=1, max_size=200))
def test_a_newcomer_has_its_turn_within_a_round(flood: list[int]) -> None:
    """However much an upload has in the queue, who comes is in the next round, or in the one after."""
    queue = fair_queue()
    fill(queue, 1, flood)
    queue.take(SHARE, never)
    fill(queue, 2, [10])
    taken = [item for _ in range(2) for item in queue.take(10**9, never)[0]]
    assert (2, 0, 10) in taken
    assert sum(item[2] for item in taken if item[0] == 1) <= 2 * SHARE + 2 * 5 * SHARE


def test_a_debtor_has_its_turn_too() -> None:
    """An item of any size delays those behind it by a bounded number of turns."""
    queue = fair_queue()
    fill(queue, 1, [10**12, 1])
    fill(queue, 2, [SHARE] * 100)
    rounds = 0
    while (1, 1, 1) not in queue.take(10**9, never)[0]:
        rounds += 1
    assert rounds <= DEBT_SHARES_MAX + 2


def test_alone_one_takes_all() -> None:
    """With one upload, a take is bounded by its bytes only, and the order is that of arrival."""
    queue = fair_queue()
    items = fill(queue, 1, [SHARE] * 50)
    assert queue.take(30 * SHARE, never) == (items[:30], 30 * SHARE)
    assert queue.take(30 * SHARE, never) == (items[30:], 20 * SHARE)
    assert queue.take(30 * SHARE, never) == ([], 0)


def test_rounds_stay_short_for_a_while() -> None:
    """For a second after two uploads were seen a flood goes share by share, for the other will be back."""
    clock = Clock()
    queue = fair_queue(clock)
    fill(queue, 2, [1])
    fill(queue, 1, [SHARE // 2] * 50)
    assert len(queue.take(10**9, never)[0]) == 3
    assert len(queue.take(10**9, never)[0]) == 2
    clock.now += 5
    assert len(queue.take(10**9, never)[0]) == 46


def test_what_is_alone_comes_by_itself() -> None:
    """Such an item ends the group before it and is the next one; order within its upload holds."""
    queue = fair_queue()
    fill(queue, 1, [10, 11, 12])
    assert [queue.take(10**9, is_odd)[0] for _ in range(4)] == [[(1, 0, 10)], [(1, 1, 11)], [(1, 2, 12)], []]
