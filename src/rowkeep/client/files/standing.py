"""Whether the server still has what the state of an insertion says was sent.

Theory ------ The state names the upload by its id, and the last receipt by its key. The chain in a receipt
covers all rows of the upload up to it (docs/guide-receipts.md): where the server knows the request and its
chain is the same, every batch before it is in as well. Where it is not, rows were lost: the upload was
deleted and created again, an older backup was restored, or the data directory was made anew.

Then the file is sent again from its beginning, under the same keys, so that only what is missing goes in.
That takes knowing where it was cut (checkpoint.py). Where that has been forgotten and the upload holds rows,
nobody can know which of them are those of the file, and the run stops.
"""

from urllib.parse import quote

import msgspec

from rowkeep.client.asking import Asker
from rowkeep.client.connection import upload_path
from rowkeep.client.files.checkpoint import LastReceipt, State

STORED, UNDONE = "stored", "undone"


class ServerDiffers(Exception):
    """The server does not have what was sent, and what of it is missing cannot be known."""


class Upload(msgspec.Struct):
    """What counts of an upload."""

    id: int | str
    numRows: int  # noqa: N815  # as on the wire


class _Request(msgspec.Struct):
    state: str
    chain: str | None = None


class _Version(msgspec.Struct):
    tag: str
    isReleased: bool = True  # noqa: N815  # as on the wire


class _Versions(msgspec.Struct):
    results: list[_Version]


class Standing:
    """Compares a state with one upload on the server."""

    def __init__(self, asker: Asker, table: str, upload: str) -> None:
        self._asker = asker
        self._table = table
        self._upload = upload

    def upload(self) -> Upload:
        """The upload as it is now. Raises an InsertError where there is none."""
        return msgspec.json.decode(self._asker.read(upload_path(self._table, self._upload)), type=Upload)

    def loss(self, state: State, now: Upload) -> str | None:
        """What has happened to the rows that were sent, in a sentence; None when they are there.

        Raises ServerDiffers when they are not and cannot be sent again.
        """
        what = self._what_happened(state, now)
        if what is None:
            return None
        if state.last is not None and state.last.source != state.source:
            raise ServerDiffers(
                f"{what} They are of the file that had this name before, so they cannot be sent again here. "
                "Insert that file with a --state of its own, then this one with --restart."
            )
        if now.numRows and now.id == state.upload and state.known_from:
            raise ServerDiffers(
                f"{what} Which of them are in cannot be known any more. Compare the table with the file; "
                "--restart sends the whole file again, also what is in."
            )
        return what

    def _what_happened(self, state: State, now: Upload) -> str | None:
        if state.last is None:
            is_from_before_receipts = state.upload is None and state.offset > 0
            return self._emptied(now) if is_from_before_receipts and not now.numRows else None
        if self._is_known(self._table, state.last):
            return None
        if now.id == state.upload:
            return self._emptied(now)
        if self._is_released(state.last):
            return None
        return f"Upload {self._upload} was deleted and created again: its rows have gone with the old one."

    def _emptied(self, now: Upload) -> str:
        found = f"holds {now.numRows:,} rows, but not those sent last" if now.numRows else "is empty"
        return (
            f"Upload {self._upload} {found}: an older backup was restored, or the data directory made anew."
        )

    def _is_known(self, table: str, last: LastReceipt) -> bool:
        """Whether a table's upload has the rows of a receipt; what was taken back on purpose counts."""
        body = self._asker.find(f"{upload_path(table, self._upload)}/requests/{quote(last.key, safe='')}")
        if body is None:
            return False
        request = msgspec.json.decode(body, type=_Request)
        return request.state in (STORED, UNDONE) and request.chain == last.chain

    def _is_released(self, last: LastReceipt) -> bool:
        """Whether a released version has the rows of a receipt."""
        parts = self._table.split(".")
        if len(parts) != 3:
            return False
        owner, dataset, table = parts[0], parts[1].partition(":")[0], parts[2]
        body = self._asker.find(f"/datasets/{quote(f'{owner}.{dataset}', safe='')}/versions")
        versions = [] if body is None else msgspec.json.decode(body, type=_Versions).results
        return any(
            self._is_known(f"{owner}.{dataset}:{version.tag}.{table}", last)
            for version in versions
            if version.isReleased
        )
