"""A batch, and what is done with its rows that do not fit.

Theory
------
A batch goes in whole or not at all. Where the caller would rather have the rest of it, the refused rows are
taken out here and the rest is sent under a key of its own, made from the batch's key and the rows that are
missing. That is safe to repeat because a refused request leaves its key free, and because `note_removed`
is called before each such request: who survives a crash can go on with the same rows taken out, even
if the server would take them by then. Each round takes out one row at least, which bounds the rounds.

The server's own `skipInvalidRows` would make this one request, but its answer names the first hundred errors
only, and the caller is promised every refused row.
"""

import hashlib
from collections.abc import Callable, Sequence

import msgspec

from rowkeep.client.errors import RefusedRow, RowsRefused, gather_refused
from rowkeep.client.retrying import Receipt, RowErrors, Sender

_FRAME = b'{"rows":[', b",", b"]}"


class Batch(msgspec.Struct, frozen=True):
    """The rows of one request.

    `numbers` are the caller's own, one for each row of `body`. `unfit` are rows that could not be encoded.
    `removed` are rows that were refused when an earlier process sent this batch.
    """

    key: str
    body: bytes
    numbers: Sequence[int]
    unfit: tuple[RefusedRow, ...] = ()
    removed: tuple[RefusedRow, ...] = ()


class Outcome(msgspec.Struct, frozen=True):
    """The result of a batch. `repeated` counts the inserted rows that were already in.

    `key` is that of the request that inserted them, and `receipt` is its receipt.
    """

    inserted: int
    repeated: int
    refused: tuple[RefusedRow, ...]
    key: str = ""
    receipt: Receipt | None = None


InsertBatch = Callable[[Batch, Sender], Outcome]
NoteRemoved = Callable[[Batch, Sequence[RefusedRow]], None]


def frame(rows: Sequence[bytes]) -> bytes:
    """Returns the request body with these rows. Each is one JSON object."""
    opening, separator, closing = _FRAME
    return opening + separator.join(rows) + closing


def frame_joined(rows: memoryview) -> bytes:
    """Returns the request body with rows that are already joined by commas."""
    return b"".join((_FRAME[0], rows, _FRAME[2]))


def rows_of(body: bytes) -> list[bytes]:
    """Returns the rows of a body, as they were put into it."""
    return [bytes(raw) for raw in _frame_decoder.decode(body)["rows"]]


def insert_whole(batch: Batch, sender: Sender) -> Outcome:
    """Inserts a batch. Raises RowsRefused, and inserts nothing, when a row does not fit."""
    if batch.unfit:
        raise RowsRefused(batch.unfit)
    if not batch.numbers:
        return Outcome(0, 0, ())
    try:
        receipt = sender.send(batch.key, batch.body, len(batch.numbers))
    except RowErrors as refusal:
        raise RowsRefused(gather_refused(refusal.errors, batch.numbers, rows_of(batch.body))) from None
    return _inserted(batch.key, receipt, ())


def insert_fitting(batch: Batch, sender: Sender, note_removed: NoteRemoved) -> Outcome:
    """Inserts the rows of a batch that fit."""
    removed = {row.number: row for row in batch.removed}
    while True:
        rest = _without(batch, removed)
        if not rest.numbers:
            return Outcome(0, 0, _refused(batch, removed))
        try:
            receipt = sender.send(rest.key, rest.body, len(rest.numbers))
        except RowErrors as refusal:
            found = gather_refused(refusal.errors, rest.numbers, rows_of(rest.body))
            removed.update({row.number: row for row in found})
            note_removed(batch, list(removed.values()))
        else:
            return _inserted(rest.key, receipt, _refused(batch, removed))


def _inserted(key: str, receipt: Receipt, refused: tuple[RefusedRow, ...]) -> Outcome:
    return Outcome(receipt.row_count, receipt.row_count * receipt.is_repeat, refused, key, receipt)


def _without(batch: Batch, removed: dict[int, RefusedRow]) -> Batch:
    if not removed:
        return batch
    kept = [
        (number, row)
        for number, row in zip(batch.numbers, rows_of(batch.body), strict=True)
        if number not in removed
    ]
    # Places within the batch: rows that were kept and are sent again have other numbers, and this key.
    places = [place for place, number in enumerate(batch.numbers) if number in removed]
    missing = hashlib.sha256(",".join(map(str, places)).encode()).hexdigest()[:16]
    return Batch(
        key=f"{batch.key}-without-{missing}",
        body=frame([row for _, row in kept]),
        numbers=[number for number, _ in kept],
    )


def _refused(batch: Batch, removed: dict[int, RefusedRow]) -> tuple[RefusedRow, ...]:
    return tuple(sorted((*batch.unfit, *removed.values()), key=lambda row: row.number))


_frame_decoder = msgspec.json.Decoder(dict[str, list[msgspec.Raw]])
