"""Sends a file to a server in pieces, and continues after a broken connection.

The server says how much of the file it has (`Range`); after a failure it is asked for that, so that no
piece is sent twice for nothing and none is left out. The protocol is in docs/api.md, under temporary
uploads.
"""

import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from rowkeep.client.api import Api, Json
from rowkeep.client.connection import Answer, NoAnswer
from rowkeep.client.errors import InsertError
from rowkeep.client.patience import Notice, Patience, RetryPolicy
from rowkeep.client.retrying import REPEATED, problem_of, refusal_of

PIECE_BYTES = 8 * 1024 * 1024
PATIENCE = RetryPolicy(seconds_max=300.0)
OK, INCOMPLETE = 200, 308
_last_byte = re.compile(r"bytes=0-(\d+)").fullmatch

Moved = Callable[[int], None]


class FileChanged(InsertError):
    """A file was changed while it was being sent."""


class FileSender:
    """Sends files to one table, whose path is `table_path`."""

    def __init__(self, api: Api, table_path: str, notice: Notice) -> None:
        self._api = api
        self._table_path = table_path
        self._notice = notice

    def send(self, file: Path, moved: Moved) -> str:
        """Sends a file. Returns the id of the temporary upload that holds it. Raises an InsertError.

        `moved` is called with the number of bytes that the server has.
        """
        with file.open("rb") as opened:
            byte_count = file.stat().st_size
            said: Json = {"name": file.name, "size": byte_count, "resumable": True}
            made = self._api.change("POST", f"{self._table_path}/tempUploads", {"tempUploads": [said]})
            identifier = str(made["results"][0]["id"])
            self._send_pieces(f"/tempUploads/{identifier}", opened, byte_count, moved)
        return identifier

    def _send_pieces(self, path: str, opened: BinaryIO, byte_count: int, moved: Moved) -> None:
        patience, there = self._patience(), 0
        content_range, piece = _piece(opened, there, byte_count)
        while True:
            answer = self._ask(path, content_range, piece, patience)
            if answer is None:
                content_range, piece = f"bytes */{byte_count}", b""  # how much is there?
                continue
            if answer.status == OK:
                moved(byte_count)
                return
            now_there = _there(answer)
            if now_there > there:
                patience, there = self._patience(), now_there
            moved(now_there)
            content_range, piece = _piece(opened, now_there, byte_count)

    def _ask(self, path: str, content_range: str, piece: bytes, patience: Patience) -> Answer | None:
        """Returns a definite answer, or None after a wait."""
        headers = {"Content-Range": content_range, "Content-Type": "application/octet-stream"}
        try:
            answer = self._api.connection.ask("PUT", path, piece, headers)
        except NoAnswer as error:
            patience.wait(str(error))
            return None
        if answer.status in REPEATED:
            patience.wait(problem_of(answer), is_busy=True)
            return None
        if answer.status not in (OK, INCOMPLETE):
            raise refusal_of(answer)
        return answer

    def _patience(self) -> Patience:
        return Patience(PATIENCE, threading.Event(), self._notice)


def _piece(opened: BinaryIO, first: int, byte_count: int) -> tuple[str, bytes]:
    """Returns the Content-Range and the content of the piece that begins at a byte."""
    if byte_count == 0:
        return "bytes */0", b""
    opened.seek(first)
    piece = opened.read(min(PIECE_BYTES, byte_count - first))
    if not piece:
        raise FileChanged(f"{opened.name} became shorter while it was sent; nothing of it was loaded.")
    return f"bytes {first}-{first + len(piece) - 1}/{byte_count}", piece


def _there(answer: Answer) -> int:
    match = _last_byte(answer.headers.get("range", "").strip())
    return 0 if match is None else int(match[1]) + 1
