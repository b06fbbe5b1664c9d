"""Rows that the server itself adds to an upload, within a larger transaction.

The rows of a file index table are the files: a file without its row, or a row without its file, must not be.
So they go in together. Uploads to which rows are added this way take no inserts, which is why the lane, that
remembers where uploads end (placement.py), need not be told.
"""

from collections.abc import Mapping, Sequence

import msgspec

from rowkeep.model.chain import digest_of, next_chain
from rowkeep.model.decoding.strict import row_decoder
from rowkeep.model.resources import Upload
from rowkeep.storage.base import NewEntry
from rowkeep.storage.catalog.catalog import CatalogEditor
from rowkeep.storage.journal.entries import EntryEncoder, frame_checksum


def append_rows(editor: CatalogEditor, upload: Upload, rows: Sequence[Mapping[str, object]]) -> int:
    """Adds rows, as one batch, that fit the schema of an upload. Returns the number of the first row."""
    state = editor.uploads.chain_state(upload.id)
    if state is None:
        raise LookupError(f"there is no upload {upload.id}")
    body = msgspec.json.encode({"rows": rows})
    digest = digest_of(row_decoder(upload.schema).accept_patiently(body).rows)
    frame = EntryEncoder().frame(body, len(rows))
    version = upload.schema.version
    editor.entries.add(
        NewEntry(
            upload.id,
            version,
            frame,
            frame_checksum(upload.id, version, frame),
            state.row_count,
            next_chain(state.chain, digest),
        ),
        editor.catalog_version(),
    )
    return state.row_count
