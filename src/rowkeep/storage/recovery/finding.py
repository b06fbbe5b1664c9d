"""Finds the uploads in a folder of segments, by what the files say of themselves.

Theory
------
The segments of an upload follow each other from row 0 on. Several files may begin with the same row: small
segments and the larger one that replaced them, or two that were written of the same rows. The longest that is
good is taken, then what follows it. A segment is good when its rows can be read, are as many as it says, and
move the chain of the upload from where the one before left it to where this one says (model/chain.py). So no
row that was changed on the disk is taken for what was accepted. Segments from before there were chains can
only be read.

Rows behind a gap are not taken: a row keeps its number, and nobody knows what was in the gap.
"""

import zlib
from array import array
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing

import msgspec

from rowkeep.model.chain import CHAIN_START, unpacked_counts
from rowkeep.model.errors import RowkeepError
from rowkeep.model.recovery import SegmentFacts, UploadPlace
from rowkeep.model.resources import Segment
from rowkeep.model.schema import Schema
from rowkeep.storage.base import SegmentStore
from rowkeep.storage.segments.chaining import chain_after
from rowkeep.storage.segments.checked_file import BLOCK_BYTES
from rowkeep.storage.segments.naming import UNFINISHED, is_segment_file
from rowkeep.storage.segments.parquet import SegmentFile
from rowkeep.storage.segments.recovery_facts import UnreadableSegmentError, segment_facts


class FoundUpload(msgspec.Struct, frozen=True):
    """An upload as its segments describe it. `place` is None where no segment names it."""

    upload_id: int
    place: UploadPlace | None
    segments: tuple[Segment, ...]
    schemas: Mapping[int, Schema]

    @property
    def row_count(self) -> int:
        """Returns how many rows the upload has."""
        return self.segments[-1].row_end

    @property
    def byte_count(self) -> int:
        """Returns the size of its rows as they were sent."""
        return sum(segment.byte_count for segment in self.segments)


class Findings(msgspec.Struct, frozen=True):
    """The uploads that were found, and a sentence for each file that could not be used."""

    uploads: tuple[FoundUpload, ...]
    problems: tuple[str, ...]


class _Candidate(msgspec.Struct, frozen=True):
    """A file and its facts."""

    name: str
    facts: SegmentFacts


def find_uploads(store: SegmentStore) -> Findings:
    """Reads all segments of a store. Returns the uploads that they form."""
    candidates, problems = _candidates(store)
    by_upload: defaultdict[int, list[_Candidate]] = defaultdict(list)
    for candidate in candidates:
        by_upload[candidate.facts.upload_id].append(candidate)
    uploads = []
    for upload_id in sorted(by_upload):
        walk = _Walk(store, upload_id, by_upload[upload_id])
        walk.go()
        problems += walk.problems
        if walk.taken:
            uploads.append(walk.upload())
    return Findings(tuple(uploads), tuple(problems))


def _candidates(store: SegmentStore) -> tuple[list[_Candidate], list[str]]:
    """Returns the segments of uploads without query results, and a sentence for each unreadable file."""
    candidates, problems = [], []
    for name in sorted(store.names()):
        if not is_segment_file(name) or name.endswith(UNFINISHED):
            continue
        try:
            facts = segment_facts(store, name)
        except UnreadableSegmentError as error:
            problems.append(f"{error}.")
            continue
        if facts.upload_id > 0:
            candidates.append(_Candidate(name, facts))
    return candidates, problems


class _Walk:
    """Follows the segments of one upload from row 0 on."""

    def __init__(self, store: SegmentStore, upload_id: int, candidates: Sequence[_Candidate]) -> None:
        self._store = store
        self._upload_id = upload_id
        self._candidates = sorted(candidates, key=lambda one: (one.facts.first_row, -one.facts.row_count))
        self._chain = CHAIN_START
        self._row = 0
        self.taken: list[tuple[_Candidate, Segment]] = []
        self.problems: list[str] = []

    def go(self) -> None:
        """Takes one good segment after the other."""
        while any(self._take(candidate) for candidate in self._at(self._row)):
            pass
        later = [one for one in self._candidates if one.facts.first_row > self._row]
        if later:
            rows = sum(one.facts.row_count for one in later)
            self.problems.append(
                f"Upload {self._upload_id}: the rows from {self._row} to {later[0].facts.first_row - 1} are "
                f"missing, so {rows} later rows in {len(later)} files were not taken."
            )

    def _at(self, row: int) -> Iterable[_Candidate]:
        return [one for one in self._candidates if one.facts.first_row == row]

    def _take(self, candidate: _Candidate) -> bool:
        try:
            segment = self._checked(candidate)
        except (RowkeepError, LookupError, ValueError, OSError) as error:
            self.problems.append(f"segments/{candidate.name} was not taken: {error}")
            return False
        self.taken.append((candidate, segment))
        self._row = segment.row_end
        self._chain = segment.chain or self._chain
        return True

    def _checked(self, candidate: _Candidate) -> Segment:
        """Returns the segment of a file. Raises an error when its rows are not those that were written."""
        facts = candidate.facts
        segment = _segment(self._store, candidate)
        schema = Schema(facts.schema_version, facts.variables)
        covered = sum(unpacked_counts(facts.batches))
        if covered:
            if chain_after(self._store, segment, schema, self._chain, covered) != facts.chain:
                raise ValueError("its rows are not those that were accepted.")
        else:
            _read_whole(self._store, segment, schema)
        return segment

    def upload(self) -> FoundUpload:
        """Returns the upload that was found."""
        places = [candidate.facts.place for candidate, _ in self.taken if candidate.facts.place is not None]
        facts = [candidate.facts for candidate, _ in self.taken]
        return FoundUpload(
            self._upload_id,
            places[-1] if places else None,
            tuple(segment for _, segment in self.taken),
            {one.schema_version: Schema(one.schema_version, one.variables) for one in facts},
        )


def _segment(store: SegmentStore, candidate: _Candidate) -> Segment:
    facts = candidate.facts
    byte_count, checksums = _checksums(store, candidate.name)
    return Segment(
        upload_id=facts.upload_id,
        first_row=facts.first_row,
        row_count=facts.row_count,
        byte_count=facts.byte_count,
        schema_version=facts.schema_version,
        file_name=candidate.name,
        file_bytes=byte_count,
        checksums=checksums,
        batches=facts.batches,
        chain=facts.chain,
    )


def _checksums(store: SegmentStore, name: str) -> tuple[int, bytes]:
    """Returns the size of a file and the checksums of its blocks, as they are now."""
    with closing(store.get(name)) as file:
        blocks = range(0, file.byte_count, BLOCK_BYTES)
        checksums = array("I", [zlib.crc32(file.read(start, BLOCK_BYTES)) for start in blocks])
        return file.byte_count, checksums.tobytes()


def _read_whole(store: SegmentStore, segment: Segment, schema: Schema) -> None:
    """Reads a segment to its end. Raises an error when it holds another number of rows."""
    names = [variable.name for variable in schema.variables]
    groups = SegmentFile(store, segment).groups(names, 0, segment.row_count)
    if sum(len(group) for group in groups) != segment.row_count:
        raise ValueError("it holds another number of rows than it says.")
