"""Writes millions of rows as segments of a stream, as a load does: in a minute instead of an hour."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from rowkeep.storage.catalog.catalog import CatalogEditor
from rowkeep.storage.catalog.segments import LoadedCounters
from rowkeep.storage.doors import edit_catalog, read_snapshot
from rowkeep.storage.local_files import DataDirectory, Disk
from rowkeep.storage.local_segments import LocalSegments
from rowkeep.storage.opening import open_database
from rowkeep.storage.segments.loading import SegmentLoader

BATCH_ROWS = 1_000_000


def write_many_rows(data_dir: Path, row_count: int) -> None:
    """Writes rows into segments of the stream, as a load does."""
    directory = DataDirectory(data_dir)
    directory.sweep()
    database = open_database(directory)
    upload = read_snapshot(database, lambda view: view.uploads.content_page(1, 0, 1))[0]
    loader = SegmentLoader(LocalSegments(directory.segments, Disk()), upload.id, upload.schema)
    try:
        for batch in _batches(row_count):
            loader.add(batch)
        loaded = loader.finish()
    finally:
        loader.close()

    def name(editor: CatalogEditor) -> None:
        counters = LoadedCounters(loaded.row_count, loaded.byte_count, loaded.chain)
        editor.segments.name_loaded(upload.id, loaded.segments, counters)

    edit_catalog(database, name)
    database.close()


def _batches(row_count: int) -> Iterator[pa.RecordBatch]:
    """Yields rows with a variable of each type. Their times go up, as those of measurements do."""
    for start in range(0, row_count, BATCH_ROWS):
        count = min(BATCH_ROWS, row_count - start)
        numbers = pa.array(range(start, start + count), pa.int64())
        chance = pc.random(count, initializer=start)
        micros = pc.add(pc.multiply(numbers, 31_536_000_000_000 // row_count), 1_767_225_600_000_000)
        measured = micros.cast(pa.timestamp("us"))
        places = pc.floor(pc.multiply(chance, 180.0)).cast(pa.int64()).cast(pa.string())
        stations = pc.floor(pc.multiply(chance, 5000.0)).cast(pa.int64()).cast(pa.string())
        yield pa.RecordBatch.from_arrays(
            [
                pc.binary_join_element_wise("station", stations, "-"),
                numbers,
                pc.add(pc.multiply(chance, 140.0), 20.5),
                pc.less(chance, 0.5),
                measured.cast(pa.date32(), safe=False),
                measured,
                measured.cast(pa.time64("us")),
                pc.binary_join_element_wise("POINT(", places, " 50)", ""),
            ],
            names=["site", "count", "temperature", "valid", "day", "measured_at", "local_time", "position"],
        )
