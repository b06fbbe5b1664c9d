"""The rows that an export reads: segments and entries, on one snapshot.

The numbers of the rows were noted when the export was asked for. Rows keep their numbers, so the export finds
these very rows when its turn comes, even if they have moved from entries to segments meanwhile.
"""

from collections.abc import Iterable, Iterator
from itertools import groupby

from rowkeep.model.exports import UploadRows
from rowkeep.model.resources import ReadStream, RowSlice, Segment
from rowkeep.services.query_snapshot import add_entries
from rowkeep.storage.catalog.catalog import CatalogView
from rowkeep.storage.engines import ExportSink


def export_rows(stream: ReadStream, sink: ExportSink, view: CatalogView) -> tuple[UploadRows, ...]:
    """Finds the rows of a stream; entries go to the sink. Raises not_found_error for rows that are gone."""
    groups = groupby(stream.slices, lambda slice_: slice_.upload_id)
    return tuple(_upload_rows(view, upload_id, tuple(slices), sink) for upload_id, slices in groups)


def _upload_rows(
    view: CatalogView, upload_id: int, slices: tuple[RowSlice, ...], sink: ExportSink
) -> UploadRows:
    segments = list(_segments(view, upload_id, slices))
    for segment in segments:
        sink.segment_path(segment.file_name)
    versions = {segment.schema_version for segment in segments}
    row_end = segments[-1].row_end if segments else 0
    entry_count = sum(
        add_entries(view, upload_id, first, end, sink, versions) for first, end in _unsealed(slices, row_end)
    )
    schemas = tuple(view.uploads.schema(upload_id, version) for version in sorted(versions))
    return UploadRows(slices, schemas, tuple(segments), entry_count)


def _segments(view: CatalogView, upload_id: int, slices: Iterable[RowSlice]) -> Iterator[Segment]:
    """Returns the segments that hold rows of the slices, each segment once, in order."""
    row = 0
    for slice_ in slices:
        row = max(row, slice_.first_row)
        while row < slice_.row_end and (segment := view.segments.at(upload_id, row)) is not None:
            yield segment
            row = segment.row_end


def _unsealed(slices: tuple[RowSlice, ...], row_end: int) -> list[tuple[int, int]]:
    """Returns one range, from the first row that is in no segment to the last.

    It is one range because entries are whole.
    """
    left = [slice_ for slice_ in slices if slice_.row_end > row_end]
    return [(max(left[0].first_row, row_end), left[-1].row_end)] if left else []
