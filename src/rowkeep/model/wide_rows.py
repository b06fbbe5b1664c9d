"""Bounds for rows of many variables: how much they take in a file, and how many go together.

A file of a segment has row groups of GROUP_CELLS_MAX cells, empty ones too, and for each row group a record
of every variable, its column chunk: a KiB of memory while the file is written or open, a tenth of that on
the disk (measured). So what empty rows take grows with the square of the variables. A segment is kept below
CHUNKS_MAX where it can be. It ends where a batch does, so a batch is bounded too.
"""

from rowkeep.model.errors import ErrorCode, RowkeepError

GROUP_CELLS_MAX = 1_048_576
CHUNKS_MAX = 100_000
BATCH_CHUNKS_MAX = 250_000


def group_rows(width: int) -> int:
    """Returns how many rows of this width fill a row group."""
    return max(1, GROUP_CELLS_MAX // max(1, width))


def chunk_count(row_count: int, width: int) -> int:
    """Returns how many column chunks the rows take in one file."""
    return -(-row_count // group_rows(width)) * width


def check_batch(row_count: int, width: int) -> None:
    """Raises payload_too_large when a request has too many rows of so many variables."""
    if chunk_count(row_count, width) <= BATCH_CHUNKS_MAX:
        return
    rows_max = max(1, BATCH_CHUNKS_MAX // width) * group_rows(width)
    raise RowkeepError(
        ErrorCode.PAYLOAD_TOO_LARGE,
        f"A request has at most {rows_max} rows of an upload with {width} variables, and this one has more. "
        "Nothing was inserted; send the rows in several requests.",
    )
