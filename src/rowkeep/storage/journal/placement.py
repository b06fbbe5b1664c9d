"""Where the batches of a group go: the numbers of their rows, their commits, and the new chains.

Only the lane's thread writes rows, so it knows where each upload ends without asking: `StreamEnds` keeps
that. It is a memory, not a promise. Whatever is written on the strength of it states what it expects
(`add_group` in journal.sql), and a statement that expects wrong writes nothing.
"""

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from rowkeep.model.chain import next_chain
from rowkeep.model.receipts import OffsetMoved
from rowkeep.model.resources import Batch, Receipt
from rowkeep.storage.base import Record

STREAMS_MAX = 50_000


class StreamEnd(msgspec.Struct, frozen=True, gc=False):
    """The end of an upload: its number of rows, and the number of commits that brought them."""

    row_count: int
    chain: bytes
    commit_count: int


class StreamEnds:
    """The ends of recently written uploads, as far as they are known."""

    def __init__(self) -> None:
        self._ends: dict[int, StreamEnd] = {}

    def of(self, upload_ids: Iterable[int]) -> dict[int, StreamEnd] | None:
        """Returns the ends of uploads, or None when not all are known."""
        ends: dict[int, StreamEnd] = {}
        for upload_id in upload_ids:
            end = self._ends.get(upload_id)
            if end is None:
                return None
            ends[upload_id] = end
        return ends

    def learn(self, ends: Mapping[int, StreamEnd]) -> None:
        """Remembers the ends of uploads after a commit."""
        if len(self._ends) + len(ends) > STREAMS_MAX:
            self._ends.clear()
        self._ends.update(ends)

    def forget(self) -> None:
        """Forgets all ends, because it is not known what was written."""
        self._ends.clear()


class Placement:
    """Places the batches of a group one after the other, from the ends of their uploads on."""

    def __init__(self, before: Mapping[int, StreamEnd]) -> None:
        self.before = before
        self.after = dict(before)

    def place(self, batch: Batch) -> Receipt:
        """Places a batch behind the earlier ones. Returns its receipt."""
        end = self.after[batch.upload_id]
        if not batch.row_count:
            return Receipt(0, batch.change, rows_sha256=batch.rows_sha256, chain=end.chain)
        chain = next_chain(end.chain, batch.rows_sha256)
        commit = self.before[batch.upload_id].commit_count + 1
        self.after[batch.upload_id] = StreamEnd(end.row_count + batch.row_count, chain, commit)
        return Receipt(
            batch.row_count,
            batch.change,
            commit=commit,
            first_row=end.row_count,
            rows_sha256=batch.rows_sha256,
            chain=chain,
        )


def stream_ends(records: Sequence[Record]) -> dict[int, StreamEnd]:
    """Returns the ends of uploads by upload id, from records of `group_state`."""
    return {
        record["upload_id"]: StreamEnd(record["row_count"], record["chain"], record["commit_count"])
        for record in records
        if record["upload_id"] is not None
    }


def moved_offset(batch: Batch, tokens: dict[int, str | None]) -> OffsetMoved | None:
    """Moves the offset token of a batch's upload in `tokens`.

    Returns an outcome when the batch expects another token than the upload has, else None.
    """
    offset = batch.offset
    if offset is None:
        return None
    latest = tokens[batch.upload_id]
    if offset.expects and offset.expected != latest:
        return OffsetMoved(latest)
    if offset.token is not None:
        tokens[batch.upload_id] = offset.token
    return None
