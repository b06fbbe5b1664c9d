"""Caches are bounded in bytes, whatever comes."""

from hypothesis import given
from hypothesis import strategies as st

from rowkeep.model.bounded_cache import ENTRY_BYTES, BoundedCache, remembered

BYTES_MAX = 10_000


@given(st.lists(st.tuples(st.sampled_from("abcdefgh"), st.integers(0, 5_000), st.booleans())))
def test_it_holds_no_more_than_its_bound(steps: list[tuple[str, int, bool]]) -> None:
    """After every step its bytes are those of its entries, within the bound, and the last one is there."""
    cache: BoundedCache[str, int] = BoundedCache(BYTES_MAX)
    for key, byte_count, is_dropped in steps:
        if is_dropped:
            cache.drop(key)
            assert cache.get(key) is None
            continue
        cache.keep(key, byte_count, byte_count)
        fits = 4 * (byte_count + ENTRY_BYTES) <= BYTES_MAX
        assert cache.get(key) == (byte_count if fits else None)
        held = [value for key in "abcdefgh" if (value := cache.get(key)) is not None]
        assert cache.byte_count == sum(held) + ENTRY_BYTES * len(held) <= BYTES_MAX
        assert len(cache) == len(held)


def test_what_came_first_goes_first() -> None:
    """The newest stay."""
    cache: BoundedCache[int, int] = BoundedCache(8 * (ENTRY_BYTES + 100))
    for number in range(20):
        cache.keep(number, number, 100)
    assert [number for number in range(20) if cache.get(number) is not None] == list(range(12, 20))


def test_a_function_that_remembers() -> None:
    """It is asked once for what is small, again for what is not kept, and errors are not kept."""
    asked: list[bytes] = []

    @remembered(BYTES_MAX)
    def length(text: bytes) -> int:
        asked.append(text)
        return 100 // len(text)

    assert [length(b"ab"), length(b"ab"), length(b"x" * 9_000), length(b"x" * 9_000)] == [50, 50, 0, 0]
    assert [len(text) for text in asked] == [2, 9_000, 9_000]
