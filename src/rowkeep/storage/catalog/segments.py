"""Segments: which file holds which rows. The files are in `storage/segments/`."""

from collections.abc import Sequence

import msgspec

from rowkeep.model.resources import Segment
from rowkeep.storage.catalog.records import noun, nouns
from rowkeep.storage.catalog.state import Editing, Reading


class LoadedCounters(msgspec.Struct, frozen=True):
    """The counters of an upload after a load. `byte_count` is what the rows would have as JSON."""

    row_count: int
    byte_count: int
    chain: bytes


class RecoveredCounters(msgspec.Struct, frozen=True):
    """The counters of an upload that was recovered from its segments."""

    row_count: int
    byte_count: int
    chain: bytes
    chain_first_row: int
    commit_count: int


class Segments(Reading):
    """Reads segments."""

    def at(self, upload_id: int, row: int) -> Segment | None:
        """Returns the segment that holds a row, without its batches.

        Returns None when the row is in the journal or deleted.
        """
        return noun(Segment, self._connection.record("segment_at", upload_id=upload_id, row=row))

    def batches(self, segment: Segment) -> bytes | None:
        """Returns the packed row counts of a segment's batches (model/chain.py); None when it is deleted."""
        record = self._connection.record(
            "segment_batches", upload_id=segment.upload_id, first_row=segment.first_row
        )
        return None if record is None else record["batches"]

    def page(self, upload_id: int, first_row: int, count: int) -> list[Segment]:
        """Returns an upload's segments from a row on, in order, without their checksums and batches."""
        found = self._connection.records("segments", upload_id=upload_id, first_row=first_row, count=count)
        return nouns(Segment, found)

    def file_names(self) -> set[str]:
        """Returns the names of all segments' files."""
        return {record["file_name"] for record in self._connection.records("segment_files")}

    def uploads_to_compact(self, bytes_max: int, count_min: int) -> list[int]:
        """Returns the uploads with at least `count_min` segments that are smaller than `bytes_max`."""
        found = self._connection.records("uploads_to_compact", bytes_max=bytes_max, count_min=count_min)
        return [record["upload_id"] for record in found]


class SegmentEditor(Segments, Editing):
    """Reads segments and adds new ones to the catalog."""

    def name_sealed(self, segment: Segment) -> bool:
        """Replaces entries by the segment with their rows.

        Returns False when other rows are the next to be sealed.

        Returns False when the segment does not begin where the upload's segments end.
        """
        moved = self._connection.record(
            "move_sealed_end",
            upload_id=segment.upload_id,
            first_row=segment.first_row,
            row_count=segment.row_count,
            byte_count=segment.byte_count,
        )
        if moved is not None:
            self._run("add_segment", **msgspec.structs.asdict(segment))
        return moved is not None

    def name_loaded(self, upload_id: int, segments: Sequence[Segment], loaded: LoadedCounters) -> None:
        """Adds the segments with all rows of an empty upload. Raises LookupError when the upload has rows."""
        self._one("fill_stream", upload_id=upload_id, **msgspec.structs.asdict(loaded))
        for segment in segments:
            self._run("add_segment", **msgspec.structs.asdict(segment))

    def name_recovered(
        self, upload_id: int, segments: Sequence[Segment], counters: RecoveredCounters
    ) -> None:
        """Adds the segments that are left of an upload, in a recovery."""
        self._run("recover_stream", upload_id=upload_id, **msgspec.structs.asdict(counters))
        for segment in segments:
            self._run("add_segment", **msgspec.structs.asdict(segment))

    def name_result(self, segment: Segment) -> None:
        """Adds the segment of a query's result, which belongs to no upload."""
        self._run("add_segment", **msgspec.structs.asdict(segment))

    def name_compacted(self, segment: Segment) -> bool:
        """Replaces the segments that hold these rows by this one. Returns False when they no longer exist."""
        replaced = self._connection.records(
            "delete_segments",
            upload_id=segment.upload_id,
            first_row=segment.first_row,
            row_end=segment.row_end,
        )
        if sum(record["row_count"] for record in replaced) == segment.row_count:
            self._run("add_segment", **msgspec.structs.asdict(segment))
            return True
        if replaced:
            raise LookupError(f"the segments of upload {segment.upload_id} are not those that were compacted")
        return False
