"""Checks whether the server still has the rows that the state of an insert says were sent.

Theory
------
The state names the upload by its id, and the last receipt by its key. The chain in a receipt
covers all rows of the upload up to it (docs/guide-receipts.md): where the server knows the request and its
chain is the same, every batch before it is in as well. Where it is not, rows were lost: the upload was
deleted and created again, an older backup was restored, or the data directory was made anew.

A key belongs to the stream, in whichever version its rows are: after a release, and after the stream was
created again in the next version, the server knows the last request still. Then nothing was lost.

Where rows were lost the file is sent again from its beginning, under the same keys, so that only what is
missing goes in. That takes knowing where it was cut (checkpoint.py). Where that has been forgotten and the
stream may hold rows of the file, nobody can know which of them it holds, and the run stops.
"""

from urllib.parse import quote

import msgspec

from rowkeep.client.asking import Asker
from rowkeep.client.connection import upload_path
from rowkeep.client.files.checkpoint import LastReceipt, State

STORED, UNDONE = "stored", "undone"
NEXT = "next"


class ServerDiffers(Exception):
    """The server lacks rows that were sent, and it cannot be known which."""


class Upload(msgspec.Struct):
    """The facts about an upload. Its stream may have begun in an earlier version, in an upload `streamId`."""

    id: int | str
    numRows: int  # noqa: N815  # as on the wire
    streamId: int | str | None = None  # noqa: N815  # as on the wire

    @property
    def may_hold_earlier_rows(self) -> bool:
        """Returns whether its stream may have rows in earlier versions."""
        return self.streamId not in (None, self.id)


class Difference(msgspec.Struct, frozen=True):
    """What has happened to the upload since the last run, as a sentence. `is_loss` when rows are gone."""

    sentence: str
    is_loss: bool


class _Request(msgspec.Struct):
    state: str
    chain: str | None = None
    version: str | None = None


class Standing:
    """Compares a state with one upload on the server."""

    def __init__(self, asker: Asker, table: str, upload: str) -> None:
        self._asker = asker
        self._table = table
        self._upload = upload

    def upload(self) -> Upload:
        """Returns the upload as it is now. Raises an InsertError when it is missing."""
        return msgspec.json.decode(self._asker.read(upload_path(self._table, self._upload)), type=Upload)

    def difference(self, state: State, now: Upload) -> Difference | None:
        """Returns what has happened since the last run, or None when everything sent is in this upload.

        Raises ServerDiffers when rows were lost and cannot be sent again.
        """
        if state.last is None:
            is_from_before_receipts = state.upload is None and state.offset > 0
            return self._emptied(now) if is_from_before_receipts and not now.numRows else None
        found = [self._found(receipt) for receipt in (state.last, *state.beside)]
        requests = [request for request in found if request is not None]
        if len(requests) == len(found):
            return self._released(state, now, requests[0])
        difference = self._emptied(now) if now.id == state.upload else self._made_anew()
        self._check_repeatable(state, now, difference.sentence)
        return difference

    def _check_repeatable(self, state: State, now: Upload, sentence: str) -> None:
        """Raises ServerDiffers when sending the file again could insert rows twice."""
        if state.last is not None and state.last.source != state.source:
            raise ServerDiffers(
                f"{sentence} They are of the file that had this name before, so they cannot be sent again "
                "here. Insert that file with a --state of its own, then this one with --restart."
            )
        may_hold_some = now.may_hold_earlier_rows or bool(now.numRows and now.id == state.upload)
        if may_hold_some and state.known_from:
            raise ServerDiffers(
                f"{sentence} Which of them are in cannot be known any more. Compare the table with the file; "
                "--restart sends the whole file again, also what is in."
            )

    def _emptied(self, now: Upload) -> Difference:
        found = f"holds {now.numRows:,} rows, but not those sent last" if now.numRows else "is empty"
        return Difference(
            f"Upload {self._upload} {found}: an older backup was restored, or the data directory made anew.",
            is_loss=True,
        )

    def _made_anew(self) -> Difference:
        return Difference(
            f"Upload {self._upload} was deleted and created again: rows have gone with the old one.",
            is_loss=True,
        )

    def _released(self, state: State, now: Upload, request: _Request) -> Difference | None:
        if state.upload in (None, now.id) or request.version == NEXT:
            return None
        return Difference(
            f"Upload {self._upload} was released and goes on in the next version: the rows sent before are "
            f"in {request.version}, and only what is new is sent (--restart sends all again).",
            is_loss=False,
        )

    def _found(self, last: LastReceipt) -> _Request | None:
        """Returns the request of a receipt if its rows are in. Rows that were undone count as in."""
        key = quote(last.key, safe="")
        body = self._asker.find(f"{upload_path(self._table, self._upload)}/requests/{key}")
        if body is None:
            return None
        request = msgspec.json.decode(body, type=_Request)
        is_in = request.state in (STORED, UNDONE) and request.chain == last.chain
        return request if is_in else None
