"""How resources look on the wire. Source: contract 4.1-4.6; keys that clients index are always there."""

from typing import Any
from urllib.parse import quote

from rowkeep.model.errors import ErrorCode
from rowkeep.model.references import reference_id, upload_segment
from rowkeep.model.resources import Dataset, Owner, Receipt, Version
from rowkeep.model.schema import Variable
from rowkeep.services.access import Place
from rowkeep.services.datasets import DatasetView
from rowkeep.services.grants import GrantView
from rowkeep.services.insert.receipts import RequestView, VerificationView
from rowkeep.services.organizations import MemberView
from rowkeep.services.tables import TableView
from rowkeep.services.uploads import UploadView, upload_hash
from rowkeep.services.versions import VersionView

Json = dict[str, Any]

_API = "/api/v1"


def _located(uri: str) -> Json:
    return {"uri": uri, "url": f"{_API}{uri}"}


def owner_resource(owner: Owner) -> Json:
    """A user or an organization."""
    return {"kind": owner.kind, "name": owner.name, **_located(f"/{owner.kind}s/{owner.name}")}


def member_resource(view: MemberView) -> Json:
    """A member of an organization."""
    name = view.member.user_name
    return {
        "kind": "member",
        **_located(f"/organizations/{view.organization.name}/members/{name}"),
        "user": {"kind": "user", "name": name, **_located(f"/users/{name}")},
        "role": view.member.role,
    }


def _scoped_dataset_reference(dataset: Dataset, version: Version) -> str:
    return f"{_unversioned_reference(dataset)}:{version.tag.replace('.', '_')}"


def _unversioned_reference(dataset: Dataset) -> str:
    return f"{dataset.name_key}:{reference_id(dataset.identifier)}"


def _qualified_dataset_reference(dataset: Dataset, version: Version) -> str:
    return f"{dataset.owner_name.lower()}.{_scoped_dataset_reference(dataset, version)}"


def _dataset_uri(dataset: Dataset, version: Version) -> str:
    return f"/datasets/{quote(_qualified_dataset_reference(dataset, version), safe=':.')}"


def _unversioned_uri(dataset: Dataset) -> str:
    """For what belongs to a dataset whatever becomes of the version that it is seen at."""
    return f"/datasets/{dataset.owner_name.lower()}.{quote(_unversioned_reference(dataset), safe=':')}"


def dataset_base(place: Place) -> Json:
    """What every mention of a dataset holds."""
    dataset, version = place.dataset, place.version
    return {
        "kind": "dataset",
        "id": dataset.identifier,
        "qualifiedReference": _qualified_dataset_reference(dataset, version),
        "scopedReference": _scoped_dataset_reference(dataset, version),
        "referenceId": reference_id(dataset.identifier),
        "name": dataset.name,
        **_located(_dataset_uri(dataset, version)),
        "doi": None,
        "owner": owner_resource(dataset.owner),
    }


def dataset_in_list(view: DatasetView) -> Json:
    """A dataset in a list. Labels are its editors' own."""
    place, sizes = view.place, view.sizes
    dataset = place.dataset
    total = sizes.dataset_byte_count if place.is_editable else sizes.byte_count
    return {
        **dataset_base(place),
        "description": dataset.description,
        "labels": dataset.labels if place.is_editable else (),
        "accessLevel": place.level.wire_name,
        "scopedAccessLevel": place.scoped_level.wire_name,
        "publicAccessLevel": dataset.public_access_level.wire_name,
        "createdAt": dataset.created_at,
        "updatedAt": dataset.updated_at,
        "tableCount": sizes.table_count,
        "numBytes": sizes.byte_count,
        "totalNumBytes": total,
        "totalActiveTabularBytes": sizes.byte_count,
        "totalInactiveTabularBytes": total - sizes.byte_count,
        "totalRawFileBytes": 0,
        "temporalRange": None,
        "temporalPrecision": None,
        "geoBBox": None,
        "sampleConfiguration": None,
    }


def dataset_resource(view: DatasetView) -> Json:
    """A dataset by itself. A dataset that was never released is its own next version (contract 7.16)."""
    dataset = view.place.dataset
    return {
        **dataset_in_list(view),
        "methodologyMarkdown": dataset.methodology_markdown,
        "usageMarkdown": dataset.usage_markdown,
        "contactInfo": None,
        "links": [],
        "tags": dataset.tags,
        "version": _version_base(dataset, view.place.version),
        "nextVersion": _version_or_none(dataset, view.next_version),
        "previousVersion": _version_or_none(dataset, view.previous_version),
    }


def _version_base(dataset: Dataset, version: Version) -> Json:
    return {
        "kind": "version",
        "tag": version.tag,
        "index": version.position,
        "label": version.label,
        **_located(f"{_unversioned_uri(dataset)}/versions/{version.tag}"),
        "datasetUri": _dataset_uri(dataset, version),
        "isReleased": version.is_released,
        "isDeleted": version.is_deleted,
    }


def _version_or_none(dataset: Dataset, version: Version | None) -> Json | None:
    return None if version is None else _version_base(dataset, version)


def version_in_list(view: VersionView) -> Json:
    """A version in a list."""
    version = view.version
    return {
        **_version_base(view.place.dataset, version),
        "createdAt": version.created_at,
        "updatedAt": version.updated_at,
        "releasedAt": version.released_at,
    }


def version_resource(view: VersionView) -> Json:
    """A version by itself."""
    dataset, version = view.place.dataset, view.version
    return {
        **version_in_list(view),
        "releaseNotes": version.release_notes,
        "canRelease": view.can_release,
        "status": "completed" if version.is_released else None,
        "releaseErrorMessage": None,
        "previousVersion": _version_or_none(dataset, view.previous_version),
        "nextVersion": _version_or_none(dataset, view.next_version),
    }


def grant_resource(view: GrantView) -> Json:
    """What someone was granted on a dataset."""
    grant = view.grant
    uri = f"{_unversioned_uri(view.place.dataset)}/access/{grant.grantee_name}"
    return {
        "kind": "accessGrant",
        **_located(uri),
        "grantee": owner_resource(Owner(grant.id, grant.grantee_kind, grant.grantee_name)),
        "accessLevel": grant.access_level.wire_name,
    }


def table_uri(view: TableView | UploadView) -> str:
    """The path of a table, relative to the API."""
    return f"/tables/{quote(_qualified_table_reference(view), safe=':.')}"


def _scoped_table_reference(view: TableView | UploadView) -> str:
    return f"{view.table.name_key}:{reference_id(view.table.identifier)}"


def _qualified_table_reference(view: TableView | UploadView) -> str:
    place = view.place
    dataset_reference = _qualified_dataset_reference(place.dataset, place.version)
    return f"{dataset_reference}.{_scoped_table_reference(view)}"


def table_in_list(view: TableView) -> Json:
    """A table in a list."""
    table = view.table
    return {
        "kind": "table",
        **_located(table_uri(view)),
        "id": table.identifier,
        "qualifiedReference": _qualified_table_reference(view),
        "scopedReference": _scoped_table_reference(view),
        "referenceId": reference_id(table.identifier),
        "name": table.name,
        "hash": view.content.hash,
        "isSample": False,
        "isFileIndex": table.is_file_index,
        "createdAt": table.created_at,
        "updatedAt": table.updated_at,
        "description": table.description,
        "numRows": view.content.row_count,
        "numBytes": view.content.byte_count,
        "uploadMergeStrategy": table.upload_merge_strategy,
        "variableCount": len(view.schema.variables),
    }


def table_resource(view: TableView) -> Json:
    """A table by itself."""
    place = view.place
    return {
        **table_in_list(view),
        "canDownload": place.scoped_level.wire_name in ("data", "edit"),
        "entity": None,
        "temporalRange": None,
        "temporalPrecision": None,
        "geoBBox": None,
        "publicAccessLevel": place.dataset.public_access_level.wire_name,
        "accessLevel": place.level.wire_name,
        "container": dataset_base(place),
    }


def upload_uri(view: UploadView) -> str:
    """The path of an upload, relative to the API."""
    return f"{table_uri(view)}/uploads/{upload_segment(view.upload.name)}"


def upload_resource(view: UploadView) -> Json:
    """An upload, by itself or in a list. A stream is complete from its creation (contract 7.11)."""
    upload = view.upload
    return {
        "kind": "upload",
        **_located(upload_uri(view)),
        "id": upload.id,
        "name": upload.name,
        "status": "completed",
        "percentCompleted": 100,
        "hash": upload_hash(upload),
        "size": upload.byte_count,
        "numRows": upload.row_count,
        "numBytes": upload.byte_count,
        "createdAt": upload.created_at,
        "type": upload.type,
        "hasHeaderRow": None,
        "delimiter": None,
        "quoteCharacter": None,
        "escapeCharacter": None,
        "skipBadRecords": False,
        "badRecordsCount": view.quarantined_count,
        "hasQuotedNewlines": None,
        "nullMarkers": None,
        "errorMessage": None,
        "latestOffsetToken": upload.latest_offset_token,
    }


def receipt_proof(receipt: Receipt) -> Json:
    """Which rows a request brought, and what proves it (model/chain.py)."""
    return {
        "commit": receipt.commit,
        "firstRow": receipt.first_row,
        "lastRow": receipt.last_row,
        "sha256": _hex(receipt.sha256),
        "chain": _hex(receipt.chain),
    }


def _hex(value: bytes | None) -> str | None:
    return None if value is None else value.hex()


def request_resource(view: RequestView) -> Json:
    """What became of a request with a key."""
    head: Json = {
        "kind": "insertRequest",
        **_located(f"{upload_uri(view.parent)}/requests/{quote(view.key, safe='')}"),
        "key": view.key,
        "state": view.state,
    }
    known, rejection = view.known, view.rejection
    if known is not None:
        rows = {"rowsAdded": known.receipt.row_count, **receipt_proof(known.receipt)}
        undone = {} if known.removed_at is None else {"undoneAt": known.removed_at}
        return {**head, "time": known.committed_at, **rows, **undone}
    if rejection is None:
        raise LookupError("a request that is neither stored nor rejected")
    return {
        **head,
        "time": rejection.rejected_at,
        "error": ErrorCode.INVALID_REQUEST,
        "error_description": rejection.message,
        "errors": rejection.row_errors,
        "errorCount": rejection.row_error_count,
    }


def verification_resource(view: VerificationView) -> Json:
    """What verifying an upload found."""
    outcome = view.outcome
    return {
        "kind": "uploadVerification",
        **_located(f"{upload_uri(view.parent)}/verify"),
        "isIntact": outcome.problem is None,
        "rowCount": outcome.state.row_count,
        "commitCount": outcome.state.commit_count,
        "chainFirstRow": outcome.state.first_row,
        "chain": outcome.state.chain.hex(),
        "computedChain": outcome.chain.hex(),
        "problem": outcome.problem,
    }


def variable_in_list(variable: Variable, index: int, parent_uri: str) -> Json:
    """A variable in a list."""
    return {
        "kind": "variable",
        **_located(f"{parent_uri}/variables/{variable.name}"),
        "name": variable.name,
        "type": variable.type,
        "isFileId": False,
        "index": index,
        "label": variable.label,
    }


def variable_resource(variable: Variable, index: int, parent_uri: str) -> Json:
    """A variable by itself."""
    return {
        **variable_in_list(variable, index, parent_uri),
        "description": variable.description,
        "valueLabels": variable.value_labels,
    }
