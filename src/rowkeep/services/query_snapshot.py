"""What a query reads: the tables that it names, looked up as its caller, on one snapshot.

Segments are named by their files. DuckDB reads them itself, and checks nothing: so the first query that reads
a segment since this process began checks all blocks of its file (storage/segments/checked_file.py) before it
does, and later ones need not while nobody has written to the file. What is in the journal goes to the query's
folder as it is: decoding it is the worker's part. Rows of undone requests are left out by the slices of an
upload, as in any other read.
"""

from collections.abc import Sequence

import msgspec

from rowkeep.model.access import AccessLevel
from rowkeep.model.errors import RowkeepError, invalid_request, not_found
from rowkeep.model.queries import NamedTable, QueryArguments, QueryTable, SegmentPart, UploadPart
from rowkeep.model.references import parse_table_reference
from rowkeep.model.resources import RowSlice, Segment, Table, Upload
from rowkeep.model.schema import merged_schema
from rowkeep.services.access import Place, find_table, find_upload, permit
from rowkeep.services.read.grounds import ground_of
from rowkeep.services.read.read import slices_of
from rowkeep.services.tables import content_uploads
from rowkeep.storage.catalog.catalog import CatalogView
from rowkeep.storage.engines import EntrySink, ExportSink

READ_BYTES_MAX = 4 * 1024 * 1024
SEGMENTS_PER_PAGE = 1_000


def snapshot(
    arguments: QueryArguments, named: Sequence[NamedTable], folder: EntrySink, view: CatalogView
) -> tuple[QueryTable, ...]:
    """Returns the tables that a query names, as its caller may read them now.

    Adds their entries to the folder.

    Raises RowkeepError, with the place of the name, for a table that the caller may not read.
    """
    references: dict[int, list[str]] = {}
    tables: dict[int, QueryTable] = {}
    for each in named:
        try:
            table_id, table = _found(view, arguments, each.reference, folder, set(tables))
        except RowkeepError as error:
            raise _at(each, error) from error
        references.setdefault(table_id, []).append(each.reference)
        if table is not None:
            tables[table_id] = table
    return tuple(
        msgspec.structs.replace(table, references=tuple(references[table_id]))
        for table_id, table in tables.items()
    )


def _at(named: NamedTable, error: RowkeepError) -> RowkeepError:
    place = "" if named.line is None else f"Line {named.line}, column {named.column}: "
    return RowkeepError(error.code, f"{place}{error.message}", scope=error.scope)


def _found(
    view: CatalogView, arguments: QueryArguments, reference: str, folder: EntrySink, known: set[int]
) -> tuple[int, QueryTable | None]:
    written = reference
    if "." not in reference:
        if arguments.default_dataset is None:
            raise invalid_request(f"Write `owner.dataset.{reference}`, or send `defaultDataset`.")
        written = f"{arguments.default_dataset}.{reference}"
    place, table, upload = _permitted(view, arguments, written)
    if table.id in known:
        return table.id, None
    uploads = list(content_uploads(view, table.id)) if upload is None else [upload]
    schema = merged_schema(each.schema for each in uploads)
    level = AccessLevel.DATA if upload is None else AccessLevel.EDIT
    is_unreleased = place.version.released_at is None and arguments.filter is None
    parts = tuple(_upload_part(view, each, folder) for each in uploads)
    return table.id, QueryTable((), schema, parts, is_unreleased, ground_of(place, level))


def _permitted(
    view: CatalogView, arguments: QueryArguments, reference: str
) -> tuple[Place, Table, Upload | None]:
    """Returns a table that the caller may read, and the one upload that a filter names, if it names one."""
    parsed, principal = parse_table_reference(reference), arguments.principal
    if arguments.filter is not None and arguments.filter.upload_name is not None:
        place, table, upload = find_upload(view, principal, parsed, arguments.filter.upload_name)
        permit(principal, place, AccessLevel.EDIT)
        return place, table, upload
    place, table = find_table(view, principal, parsed, AccessLevel.DATA)
    permit(principal, place, AccessLevel.DATA)
    return place, table, None


def permit_filter(view: CatalogView, arguments: QueryArguments) -> None:
    """Raises RowkeepError unless the caller may read the rows that a filter reads."""
    if arguments.filter is not None:
        _permitted(view, arguments, arguments.filter.table)


def _upload_part(view: CatalogView, upload: Upload, folder: EntrySink) -> UploadPart:
    slices = slices_of(view, [upload], None)
    versions: set[int] = set()
    segments: list[SegmentPart] = []
    row = 0
    for segment in _segments(view, upload):
        row = segment.row_end
        part = _segment_part(view, segment, slices, folder)
        if part is not None:
            versions.add(segment.schema_version)
            segments.append(part)
    entry_count = 0
    if slices and row < slices[-1].row_end:
        entry_count = add_entries(view, upload.id, row, slices[-1].row_end, folder, versions)
    schemas = tuple(view.uploads.schema(upload.id, version) for version in sorted(versions))
    return UploadPart(upload.name, tuple(slices), schemas, tuple(segments), entry_count)


def _segments(view: CatalogView, upload: Upload) -> list[Segment]:
    found: list[Segment] = []
    row = 0
    while page := view.segments.page(upload.id, row, SEGMENTS_PER_PAGE):
        found += page
        row = page[-1].first_row + 1
    return found


def _segment_part(
    view: CatalogView, segment: Segment, slices: Sequence[RowSlice], folder: EntrySink
) -> SegmentPart | None:
    ranges = []
    for slice_ in slices:
        first = max(slice_.first_row, segment.first_row) - segment.first_row
        end = min(slice_.row_end, segment.row_end) - segment.first_row
        if first < end:
            ranges.append((first, end))
    if not ranges:
        return None
    checksums = None
    if not folder.is_checked(segment.file_name):
        whole = view.segments.at(segment.upload_id, segment.first_row)
        checksums = b"" if whole is None else whole.checksums
    return SegmentPart(
        path=folder.segment_path(segment.file_name),
        byte_count=segment.file_bytes,
        checksums=checksums,
        schema_version=segment.schema_version,
        ranges=tuple(ranges),
        is_whole=ranges == [(0, segment.row_count)],
    )


def add_entries(
    view: CatalogView, upload_id: int, row: int, row_end: int, folder: ExportSink, versions: set[int]
) -> int:
    """Adds the entries of a range of an upload's rows to the folder. Returns the number of entries.

    The versions of the entries' schemas are added to `versions`.
    """
    count = 0
    while row < row_end:
        found = view.entries.holding(upload_id, row, row_end, READ_BYTES_MAX)
        if not found:
            raise not_found("The rows of this table are gone: an upload was deleted.")
        for entry in found:
            if entry.first_row + entry.row_count <= row:
                continue
            folder.add_entry(entry)
            versions.add(entry.schema_version)
            row = entry.first_row + entry.row_count
            count += 1
    return count
