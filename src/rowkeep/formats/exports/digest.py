"""The MD5 of a file that only grows, computed beside the writing of it.

Reading a file back to hash it takes half as long as writing CSV; a second thread has it done when the last
byte is written. The file is read from the system's cache, so this needs no word from whoever writes it but
that there is more.
"""

import base64
import hashlib
import threading
from pathlib import Path

READ_BYTES = 1024 * 1024


class RunningDigest:
    """Hashes a file while it grows."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._digest = hashlib.md5(usedforsecurity=False)
        self._news = threading.Event()
        self._is_whole = False
        self._error: OSError | None = None
        self.byte_count = 0
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def note(self) -> None:
        """Notes that the file has grown."""
        self._news.set()

    def finish(self) -> str:
        """Returns the digest of the whole file in base64. Raises OSError."""
        self._is_whole = True
        self._news.set()
        self._thread.join()
        if self._error is not None:
            raise self._error
        return base64.b64encode(self._digest.digest()).decode()

    def _run(self) -> None:
        try:
            with self._path.open("rb", buffering=0) as file:
                is_last = False
                while not is_last:
                    self._news.wait()
                    self._news.clear()
                    is_last = self._is_whole
                    while part := file.read(READ_BYTES):
                        self._digest.update(part)
                        self.byte_count += len(part)
        except OSError as error:
            self._error = error
