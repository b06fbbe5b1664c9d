"""Which receipts the state of an insert keeps: those of which one is the newest."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from rowkeep.client.batches import Batch, Outcome
from rowkeep.client.files.checkpoint import Checkpoint, State
from rowkeep.client.files.chunks import Chunk
from rowkeep.client.files.ndjson import NdjsonPiece
from rowkeep.client.retrying import Receipt

LINES = b'{"n": 1}\n' * 10
CHUNK_BYTES = 9


class Insertion:
    """An input in chunks of a line each, and its state."""

    def __init__(self, folder: Path) -> None:
        path = folder / "rows.ndjson"
        path.write_bytes(LINES)
        self.descriptor = os.open(path, os.O_RDONLY)
        fresh = State("source", "target", "ndjson", 1_000)
        self.checkpoint = Checkpoint.open(folder / "state", self.descriptor, fresh, is_again=False)

    def begin(self, *numbers: int) -> None:
        """Notes that chunks are about to be sent."""
        for number in numbers:
            piece = NdjsonPiece(LINES[:CHUNK_BYTES], is_full=True, is_certain=True)
            self.checkpoint.begin(Chunk(number * CHUNK_BYTES, piece, is_certain=True), str(number), 1)

    def settle(self, number: int, commit: int, *, is_repeat: bool = False) -> list[str]:
        """Notes that a chunk is in; the keys of the receipts that are kept, the latest first."""
        receipt = Receipt(1, is_repeat, commit, "chain")
        self.checkpoint.settle(Batch(str(number), b"", [1]), Outcome(1, 0, (), str(number), receipt))
        last = self.checkpoint.state.last
        assert last is not None
        return [item.key for item in (last, *self.checkpoint.state.beside)]


@pytest.fixture
def insertion(tmp_path: Path) -> Iterator[Insertion]:
    """An insertion that has sent nothing."""
    made = Insertion(tmp_path)
    yield made
    made.checkpoint.close()
    os.close(made.descriptor)


def test_a_receipt_replaces_those_that_had_come_before_its_request(insertion: Insertion) -> None:
    """Also where its commit is smaller, because the stream goes on in the next version."""
    insertion.begin(0)
    assert insertion.settle(0, commit=3) == ["0"]
    insertion.begin(1)
    assert insertion.settle(1, commit=1) == ["1"]


def test_requests_that_were_under_way_together(insertion: Insertion) -> None:
    """Either may be the newer: both are kept until a later one comes."""
    insertion.begin(0, 1, 2)
    assert insertion.settle(1, commit=1) == ["1"]
    assert insertion.settle(0, commit=40) == ["0", "1"]
    insertion.begin(3)
    assert insertion.settle(2, commit=2) == ["2", "0", "1"]
    assert insertion.settle(3, commit=3) == ["3", "2"]


def test_a_repeat_is_not_newer(insertion: Insertion) -> None:
    """What was in already may be older than what came in just before; a later insert replaces both."""
    insertion.begin(0)
    insertion.settle(0, commit=9)
    insertion.begin(1)
    assert insertion.settle(1, commit=8, is_repeat=True) == ["1", "0"]
    insertion.begin(2)
    assert insertion.settle(2, commit=7, is_repeat=True) == ["2", "0"]
    insertion.begin(3)
    assert insertion.settle(3, commit=10) == ["3"]
