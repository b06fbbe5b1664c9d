"""The files of a file index table as an Arrow stream. Source: contract 4.9."""

from collections.abc import AsyncIterator, Sequence

import pyarrow as pa

from rowkeep.model.raw_files import FILE_ID, FILE_NAME, RawFile

_SCHEMA = pa.schema(
    [
        pa.field(FILE_ID, pa.string()),
        pa.field(FILE_NAME, pa.string()),
        pa.field("size", pa.int64()),
        pa.field("md5_hash", pa.string()),
        pa.field("added_at", pa.timestamp("ms")),
    ]
)


async def raw_file_stream(pages: AsyncIterator[list[RawFile]], *, file_name: str) -> AsyncIterator[bytes]:
    """Yields an Arrow stream, a batch a page, with the names of the files in a column of this name.

    Clients look for the ids in `file_id`, whatever variable they came from.
    """
    names = [FILE_ID, file_name, *_SCHEMA.names[2:]]
    sink = _Parts()
    with pa.ipc.new_stream(sink, pa.schema(zip(names, _SCHEMA.types, strict=True))) as writer:
        async for page in pages:
            if page:  # readers take an empty batch for the end
                writer.write_batch(_batch(page).rename_columns(names))
            yield sink.taken()
    yield sink.taken()


def _batch(files: Sequence[RawFile]) -> pa.RecordBatch:
    columns = [
        [file.identifier for file in files],
        [file.name for file in files],
        [file.size for file in files],
        [file.md5_text for file in files],
        [file.added_at for file in files],
    ]
    arrays = [pa.array(column, field.type) for column, field in zip(columns, _SCHEMA, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=_SCHEMA)


class _Parts:
    """A file in memory from which what was written can be taken."""

    closed = False

    def __init__(self) -> None:
        self._held = bytearray()

    def write(self, data: bytes) -> int:
        self._held += data
        return len(data)

    def flush(self) -> None:
        pass

    def taken(self) -> bytes:
        taken = bytes(self._held)
        self._held.clear()
        return taken
