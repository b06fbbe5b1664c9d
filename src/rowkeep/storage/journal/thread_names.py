"""Names of threads as the operating system shows them (`top -H`, `rowkeep bench`). Python sets none."""

import os
import threading
from contextlib import suppress

NAME_BYTES_MAX = 15  # Linux cuts longer ones off


def show_thread_name() -> None:
    """Gives the calling thread its Python name in the operating system, where that is possible."""
    with suppress(OSError):
        name = os.open(f"/proc/self/task/{threading.get_native_id()}/comm", os.O_WRONLY)
        try:
            os.write(name, threading.current_thread().name.encode()[:NAME_BYTES_MAX])
        finally:
            os.close(name)
