"""The proofs in a receipt: the canonical text of rows, its digest, and the chain of an upload.

Theory
------
The *canonical text* of some rows is one JSON object a row with a line feed after each: the variables in the
schema's order under the schema's spelling, those that are null left out, no white space, characters beyond
ASCII as UTF-8. Values are spelled as they are typed by the schema version under which the rows were accepted:
an integer by its digits, a float by the shortest digits that read back as the same double (`1.0`, `1e22`,
`-0.0`), dates and times as ISO 8601 text with six fraction digits or none. So the text can be made again from
whatever holds the typed rows, from the journal and from a segment alike; what a client sent, with its own
white space and order of keys, is no matter.

The *digest* of a batch is the SHA-256 of its canonical text. Each batch with rows moves the *chain* of its
upload: chain = SHA-256(chain before it + digest), from 32 zero bytes on. Who keeps the receipt of a batch
holds a proof of all rows up to its last: none can be changed, dropped, added or moved without another chain.

A segment may hold rows of several schema versions in the last of them (segments.py): a version that only adds
variables leaves the text of earlier rows as it was, because the new ones are null there and come last.

docs/guide-receipts.md has the same for readers, with a program that computes it.
"""

import hashlib
import zlib
from collections.abc import Iterable, Iterator, Sequence

import msgspec

CHAIN_START = bytes(32)

_encode_lines = msgspec.json.Encoder().encode_lines


def canonical_text(rows: Sequence[msgspec.Struct]) -> bytes:
    """Returns decoded rows as canonical text."""
    return _encode_lines(rows)


def digest_of(rows: Sequence[msgspec.Struct]) -> bytes:
    """Returns the digest of a batch, 32 bytes."""
    return hashlib.sha256(_encode_lines(rows)).digest()


def next_chain(chain: bytes, digest: bytes) -> bytes:
    """Returns the chain after a batch."""
    return hashlib.sha256(chain + digest).digest()


class ChainWalk:
    """Recomputes a chain from rows that come piece by piece.

    `row` is the number of the next row. `chain` covers whole batches.
    """

    def __init__(self, row: int, chain: bytes) -> None:
        self.row = row
        self.chain = chain
        self._digest = hashlib.sha256()

    def add(self, rows: Sequence[msgspec.Struct]) -> None:
        """Adds rows to the current batch."""
        self._digest.update(canonical_text(rows))
        self.row += len(rows)

    def end_batch(self) -> None:
        """Ends the current batch."""
        self.chain = next_chain(self.chain, self._digest.digest())
        self._digest = hashlib.sha256()


def packed_counts(counts: Iterable[int]) -> bytes:
    """Returns row counts of batches in few bytes: LEB128, then zlib."""
    packed = bytearray()
    for count in counts:
        rest = count
        while rest > 0x7F:
            packed.append(rest & 0x7F | 0x80)
            rest >>= 7
        packed.append(rest)
    return zlib.compress(bytes(packed), 1)


def unpacked_counts(packed: bytes) -> Iterator[int]:
    """Yields the packed row counts; nothing for an empty text. Raises ValueError for damaged bytes."""
    try:
        numbers = zlib.decompress(packed) if packed else b""
    except zlib.error as error:
        raise ValueError(f"the counts of its batches cannot be read: {error}") from error
    count = shift = 0
    for byte in numbers:
        count |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            yield count
            count = shift = 0
