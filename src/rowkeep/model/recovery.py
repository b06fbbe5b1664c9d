"""The facts that a segment's file has about itself, from which a lost catalog can be made again.

It stands in the metadata of the Parquet file as JSON, where other programs can read it too. It is as of the
moment at which the file was written: names may have changed since.
"""

import msgspec

from rowkeep.model.resources import MergeStrategy, OwnerKind, UploadType
from rowkeep.model.schema import Variable


class UploadPlace(msgspec.Struct, frozen=True):
    """The names and identifiers of an upload, its table and its dataset.

    The tag is its version's, or `next`.
    """

    owner_kind: OwnerKind
    owner_name: str
    dataset_identifier: str
    dataset_name: str
    version_tag: str
    table_identifier: str
    table_name: str
    merge_strategy: MergeStrategy
    upload_name: str
    upload_type: UploadType
    updates_by_default: bool


class SegmentFacts(msgspec.Struct, frozen=True):
    """What the catalog knows of a segment beside its file.

    `place` is None if the upload was deleted when the file was written.
    """

    upload_id: int
    first_row: int
    row_count: int
    byte_count: int
    schema_version: int
    variables: tuple[Variable, ...]
    batches: bytes
    chain: bytes | None
    place: UploadPlace | None
