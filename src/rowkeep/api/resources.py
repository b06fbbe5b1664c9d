"""How resources look on the wire. Source: contract 4.1-4.6; keys that clients index are always there."""

from typing import Any
from urllib.parse import quote

from rowkeep.model.references import upload_segment
from rowkeep.model.resources import Dataset, Owner
from rowkeep.model.schema import Variable
from rowkeep.services.tables import TableView, upload_hash
from rowkeep.services.uploads import UploadView

Json = dict[str, Any]

_API = "/api/v1"


def _located(uri: str) -> Json:
    return {"uri": uri, "url": f"{_API}{uri}"}


def _reference_id(identifier: str) -> str:
    return identifier.partition("-")[0]


def owner_resource(owner: Owner) -> Json:
    """A user or an organization."""
    return {"kind": owner.kind, "name": owner.name, **_located(f"/{owner.kind}s/{owner.name}")}


def _scoped_dataset_reference(dataset: Dataset) -> str:
    return f"{dataset.name_key}:{_reference_id(dataset.identifier)}:next"


def _qualified_dataset_reference(dataset: Dataset) -> str:
    return f"{dataset.owner_name.lower()}.{_scoped_dataset_reference(dataset)}"


def dataset_uri(dataset: Dataset) -> str:
    """The path of a dataset, relative to the API."""
    return f"/datasets/{quote(_qualified_dataset_reference(dataset), safe=':.')}"


def dataset_base(dataset: Dataset) -> Json:
    """What every mention of a dataset holds."""
    return {
        "kind": "dataset",
        "id": dataset.identifier,
        "qualifiedReference": _qualified_dataset_reference(dataset),
        "scopedReference": _scoped_dataset_reference(dataset),
        "referenceId": _reference_id(dataset.identifier),
        "name": dataset.name,
        **_located(dataset_uri(dataset)),
        "doi": None,
        "owner": owner_resource(Owner(dataset.owner_id, dataset.owner_kind, dataset.owner_name)),
    }


def dataset_in_list(dataset: Dataset) -> Json:
    """A dataset in a list."""
    return {
        **dataset_base(dataset),
        "description": dataset.description,
        "labels": [],
        "accessLevel": "edit",
        "scopedAccessLevel": "edit",
        "publicAccessLevel": dataset.public_access_level,
        "createdAt": dataset.created_at,
        "updatedAt": dataset.updated_at,
        "tableCount": dataset.table_count,
        "numBytes": dataset.byte_count,
        "totalNumBytes": dataset.byte_count,
        "totalActiveTabularBytes": dataset.byte_count,
        "totalInactiveTabularBytes": 0,
        "totalRawFileBytes": 0,
        "temporalRange": None,
        "temporalPrecision": None,
        "geoBBox": None,
        "sampleConfiguration": None,
    }


def dataset_resource(dataset: Dataset) -> Json:
    """A dataset by itself. A dataset that was never released is its own next version (contract 7.16)."""
    return {
        **dataset_in_list(dataset),
        "methodologyMarkdown": None,
        "usageMarkdown": None,
        "contactInfo": None,
        "links": [],
        "tags": [],
        "version": _version(dataset),
        "nextVersion": _version(dataset),
        "previousVersion": None,
    }


def _version(dataset: Dataset) -> Json:
    uri = dataset_uri(dataset)
    return {
        "kind": "version",
        "tag": "next",
        "index": 0,
        "label": None,
        **_located(f"{uri}/versions/next"),
        "datasetUri": uri,
        "isReleased": False,
        "isDeleted": False,
    }


def table_uri(view: TableView | UploadView) -> str:
    """The path of a table, relative to the API."""
    return f"/tables/{quote(_qualified_table_reference(view), safe=':.')}"


def _scoped_table_reference(view: TableView | UploadView) -> str:
    return f"{view.table.name_key}:{_reference_id(view.table.identifier)}"


def _qualified_table_reference(view: TableView | UploadView) -> str:
    return f"{_qualified_dataset_reference(view.dataset)}.{_scoped_table_reference(view)}"


def table_in_list(view: TableView) -> Json:
    """A table in a list."""
    table = view.table
    return {
        "kind": "table",
        **_located(table_uri(view)),
        "id": table.identifier,
        "qualifiedReference": _qualified_table_reference(view),
        "scopedReference": _scoped_table_reference(view),
        "referenceId": _reference_id(table.identifier),
        "name": table.name,
        "hash": view.hash,
        "isSample": False,
        "isFileIndex": table.is_file_index,
        "createdAt": table.created_at,
        "updatedAt": table.updated_at,
        "description": table.description,
        "numRows": table.row_count,
        "numBytes": table.byte_count,
        "uploadMergeStrategy": table.upload_merge_strategy,
        "variableCount": len(view.schema.variables),
    }


def table_resource(view: TableView) -> Json:
    """A table by itself."""
    return {
        **table_in_list(view),
        "canDownload": True,
        "entity": None,
        "temporalRange": None,
        "temporalPrecision": None,
        "geoBBox": None,
        "publicAccessLevel": view.dataset.public_access_level,
        "accessLevel": "edit",
        "container": dataset_base(view.dataset),
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
        "badRecordsCount": 0,
        "hasQuotedNewlines": None,
        "nullMarkers": None,
        "errorMessage": None,
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
