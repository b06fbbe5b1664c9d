"""Finds unnamed segments with rows that the catalog does not know. They are the sign of an older database.

Rows are sealed after they were committed, and keep their numbers. So whatever a crash leaves, its rows lie
before the end of their upload. A file whose rows lie beyond it, or whose upload was never made, was written
under a database that knew more. Of a load that is not completed nothing is known yet, and its file is loaded
again; the results of queries are of no upload. A file that cannot be read may hold anything.
"""

from collections.abc import Iterable

from rowkeep.model.recovery import SegmentFacts
from rowkeep.storage.base import SegmentStore
from rowkeep.storage.catalog.catalog import CatalogView
from rowkeep.storage.segments.naming import UNFINISHED, is_segment_file
from rowkeep.storage.segments.recovery_facts import UnreadableSegmentError, segment_facts


def newer_segments(view: CatalogView, store: SegmentStore, present: Iterable[str]) -> frozenset[str]:
    """Returns the names of the files that may hold rows which the catalog does not know."""
    named = view.segments.file_names()
    return frozenset(
        name
        for name in set(present) - named
        if is_segment_file(name) and not name.endswith(UNFINISHED) and _is_newer(view, store, name)
    )


def _is_newer(view: CatalogView, store: SegmentStore, name: str) -> bool:
    try:
        facts = segment_facts(store, name)
    except UnreadableSegmentError:
        return True  # a crash leaves none such: nobody knows what is in it
    return facts.upload_id > 0 and _goes_beyond(view, facts)


def _goes_beyond(view: CatalogView, facts: SegmentFacts) -> bool:
    counters = view.uploads.counters(facts.upload_id)
    if counters is None:
        return facts.upload_id > view.uploads.last_id()
    is_loaded = facts.upload_id in view.jobs.of_uploads([facts.upload_id])
    return not is_loaded and facts.first_row + facts.row_count > int(counters["row_count"])
