"""The progress bar: shown on a terminal only. The only file that knows tqdm."""

import sys
import time

from tqdm import tqdm


class Progress:
    """Shows bytes of the input with their rate, rows/s and refused rows, on stderr."""

    def __init__(self, byte_count: int | None) -> None:
        self._rows = 0
        self._refused = 0
        self._began_at = time.monotonic()
        self._bar = tqdm(
            total=byte_count,
            unit="B",
            unit_scale=True,
            disable=None,  # tqdm's word for: unless it is a terminal
            file=sys.stderr,
            dynamic_ncols=True,
        )

    def add(self, byte_count: int, rows: int, refused: int) -> None:
        """Adds settled bytes and rows to the bar."""
        self._rows += rows
        self._refused += refused
        rate = self._rows / max(time.monotonic() - self._began_at, 0.001)
        self._bar.set_postfix_str(f"{rate:,.0f} rows/s, {self._refused:,} refused", refresh=False)
        self._bar.update(byte_count)

    def close(self) -> None:
        """Leaves the bar as it is."""
        self._bar.close()


class Transfer:
    """Shows the progress of a file: its bytes while it is sent, and the percentage that is loaded."""

    def __init__(self, title: str, byte_count: int) -> None:
        self._bar = tqdm(
            total=byte_count,
            desc=f"sending {title}",
            unit="B",
            unit_scale=True,
            disable=None,
            leave=False,
            file=sys.stderr,
            dynamic_ncols=True,
        )
        self._title = title

    def move_to(self, done: int) -> None:
        """Shows that so much has been done since the beginning."""
        self._bar.update(done - self._bar.n)

    def begin_loading(self) -> None:
        """Begins to show the percentage of the load."""
        self._bar.set_description(f"loading {self._title}", refresh=False)
        self._bar.unit, self._bar.unit_scale = "%", False
        self._bar.reset(100)

    def close(self) -> None:
        """Removes the bar."""
        self._bar.close()
