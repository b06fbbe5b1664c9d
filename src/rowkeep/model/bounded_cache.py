"""Caches of values between requests, bounded in bytes.

Keys and values are often what a stranger sent, or as large as a caller's schema. So a cache counts what it
holds in bytes and not in entries, and does not keep one entry that would take much of its room.
"""

import sys
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")

# What an entry costs besides its key and its value.
ENTRY_BYTES = 200
# One entry takes no more than this share of the room.
_SHARE = 4


class BoundedCache(Generic[Key, Value]):
    """Remembers values up to a bound in bytes. The oldest are dropped first. Used by one thread."""

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._entries: dict[Key, tuple[Value, int]] = {}
        self.byte_count = 0

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: Key) -> Value | None:
        """Returns the remembered value, or None."""
        found = self._entries.get(key)
        return None if found is None else found[0]

    def renew(self, key: Key) -> None:
        """Makes a remembered value the newest."""
        found = self._entries.pop(key, None)
        if found is not None:
            self._entries[key] = found

    def keep(self, key: Key, value: Value, byte_count: int) -> None:
        """Remembers a value, unless it is too large. `byte_count` is its size with its key."""
        cost = byte_count + ENTRY_BYTES
        self.drop(key)
        if cost * _SHARE > self._bytes_max:
            return
        self._entries[key] = value, cost
        self.byte_count += cost
        while self.byte_count > self._bytes_max:
            self.drop(next(iter(self._entries)))

    def drop(self, key: Key) -> None:
        """Forgets a value, if it is remembered."""
        found = self._entries.pop(key, None)
        if found is not None:
            self.byte_count -= found[1]


def remembered(
    bytes_max: int,
) -> Callable[[Callable[[bytes], Value]], Callable[[bytes], Value]]:
    """Makes a function of bytes remember its results. Exceptions are not remembered."""

    def decorate(function: Callable[[bytes], Value]) -> Callable[[bytes], Value]:
        kept: BoundedCache[bytes, tuple[Value]] = BoundedCache(bytes_max)

        def remembering(argument: bytes) -> Value:
            found = kept.get(argument)
            if found is not None:
                return found[0]
            value = function(argument)
            kept.keep(argument, (value,), sys.getsizeof(argument) + sys.getsizeof(value))
            return value

        return remembering

    return decorate
