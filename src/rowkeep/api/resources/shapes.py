"""The shapes of what the server answers, as JSON Schemas: each kind of resource once.

They describe what `resources.py` makes. Every key that is listed is always there; what may be null says so.
tests/api/test_schemathesis.py holds real answers to them, with no key beyond those listed.
"""

from typing import Any

from rowkeep.api.http.wire import STATUS_OF_CODE
from rowkeep.model.access import LEVEL_OF_NAME, PUBLIC_ACCESS_LEVELS
from rowkeep.model.errors import ErrorCode
from rowkeep.model.resources import DurabilityClass, MemberRole, MergeStrategy, OwnerKind, UploadType
from rowkeep.model.types import VariableType

Json = dict[str, Any]

_TEXT: Json = {"type": "string"}
_FLAG: Json = {"type": "boolean"}
_COUNT: Json = {"type": "integer", "minimum": 0}
_TIME: Json = {"type": "integer", "description": "Milliseconds since 1970-01-01 UTC."}
_NUMBER: Json = {"type": "number"}
_NULL: Json = {"type": "null"}
_HASH: Json = {"type": "string", "pattern": "^[0-9a-f]{32}$"}


def reference(shape: str) -> Json:
    """A shape by its name."""
    return {"$ref": f"#/components/schemas/{shape}"}


def _or_null(schema: Json) -> Json:
    if isinstance(schema.get("type"), str):
        return {**schema, "type": [schema["type"], "null"]}
    return {"anyOf": [schema, _NULL]}


def _one_of(*values: str) -> Json:
    return {"type": "string", "enum": list(values)}


def _list_of(items: Json) -> Json:
    return {"type": "array", "items": items}


def _object(properties: Json) -> Json:
    return {"type": "object", "required": list(properties), "properties": properties}


def _resource(kind: str, properties: Json) -> Json:
    return _object({"kind": {"const": kind}, **_LOCATED, **properties})


def _page_of(kind: str, shape: str) -> Json:
    return _object(
        {"kind": {"const": kind}, "results": _list_of(reference(shape)), "nextPageToken": _or_null(_TEXT)}
    )


def _optional(shape: Json, properties: Json) -> Json:
    return {**shape, "properties": {**shape["properties"], **properties}}


_LOCATED: Json = {
    "uri": {**_TEXT, "description": "The path of the resource, relative to the API."},
    "url": _TEXT,
}
_REFERENCES: Json = {"qualifiedReference": _TEXT, "scopedReference": _TEXT, "referenceId": _TEXT}
_LEVEL = _one_of(*LEVEL_OF_NAME)

_DATASET_BASE: Json = {
    "id": _TEXT,
    **_REFERENCES,
    "name": _TEXT,
    "doi": _NULL,
    "owner": reference("Owner"),
}
_DATASET_IN_LIST: Json = {
    **_DATASET_BASE,
    "description": _or_null(_TEXT),
    "labels": _list_of(_TEXT),
    "accessLevel": _LEVEL,
    "scopedAccessLevel": _LEVEL,
    "publicAccessLevel": _one_of(*PUBLIC_ACCESS_LEVELS),
    "createdAt": _TIME,
    "updatedAt": _TIME,
    "tableCount": _COUNT,
    "numBytes": _COUNT,
    "totalNumBytes": _COUNT,
    "totalActiveTabularBytes": _COUNT,
    "totalInactiveTabularBytes": _COUNT,
    "totalRawFileBytes": _COUNT,
    "temporalRange": _NULL,
    "temporalPrecision": _NULL,
    "geoBBox": _NULL,
    "sampleConfiguration": _NULL,
}
_DATASET: Json = {
    **_DATASET_IN_LIST,
    "methodologyMarkdown": _or_null(_TEXT),
    "usageMarkdown": _or_null(_TEXT),
    "contactInfo": _NULL,
    "links": {"type": "array", "maxItems": 0},
    "tags": _list_of(_TEXT),
    "version": reference("VersionBase"),
    "nextVersion": _or_null(reference("VersionBase")),
    "previousVersion": _or_null(reference("VersionBase")),
}
_VERSION_BASE: Json = {
    "tag": {"type": "string", "pattern": r"^(next|v\d+\.\d+)$"},
    "index": _COUNT,
    "label": _or_null(_TEXT),
    "datasetUri": _TEXT,
    "isReleased": _FLAG,
    "isDeleted": _FLAG,
}
_VERSION_IN_LIST: Json = {
    **_VERSION_BASE,
    "createdAt": _TIME,
    "updatedAt": _TIME,
    "releasedAt": _or_null(_TIME),
}
_VERSION: Json = {
    **_VERSION_IN_LIST,
    "releaseNotes": _or_null(_TEXT),
    "canRelease": _FLAG,
    "status": {"enum": ["completed", None]},
    "releaseErrorMessage": _NULL,
    "previousVersion": _or_null(reference("VersionBase")),
    "nextVersion": _or_null(reference("VersionBase")),
}
_TABLE_IN_LIST: Json = {
    "id": _TEXT,
    **_REFERENCES,
    "name": _TEXT,
    "hash": {**_HASH, "description": "Changes when the content does."},
    "isSample": _FLAG,
    "isFileIndex": _FLAG,
    "createdAt": _TIME,
    "updatedAt": _TIME,
    "description": _or_null(_TEXT),
    "numRows": _COUNT,
    "numBytes": _COUNT,
    "uploadMergeStrategy": _one_of(*MergeStrategy),
    "variableCount": _COUNT,
}
_TABLE: Json = {
    **_TABLE_IN_LIST,
    "canDownload": _FLAG,
    "entity": _NULL,
    "temporalRange": _NULL,
    "temporalPrecision": _NULL,
    "geoBBox": _NULL,
    "publicAccessLevel": _one_of(*PUBLIC_ACCESS_LEVELS),
    "accessLevel": _LEVEL,
    "container": reference("DatasetBase"),
}
_UPLOAD: Json = {
    "id": {"type": "integer"},
    "name": _TEXT,
    "status": _one_of("completed"),
    "percentCompleted": {"const": 100},
    "hash": _HASH,
    "size": _COUNT,
    "numRows": _COUNT,
    "numBytes": _COUNT,
    "createdAt": _TIME,
    "type": _one_of(*UploadType),
    "hasHeaderRow": _NULL,
    "delimiter": _NULL,
    "quoteCharacter": _NULL,
    "escapeCharacter": _NULL,
    "skipBadRecords": _FLAG,
    "badRecordsCount": _COUNT,
    "hasQuotedNewlines": _NULL,
    "nullMarkers": _NULL,
    "errorMessage": _NULL,
    "latestOffsetToken": {**_or_null(_TEXT), "description": "The offsetToken of the last rows that had one."},
}
_VARIABLE_IN_LIST: Json = {
    "name": _TEXT,
    "type": _one_of(*VariableType),
    "isFileId": _FLAG,
    "index": _COUNT,
    "label": _or_null(_TEXT),
}
_VARIABLE: Json = {
    **_VARIABLE_IN_LIST,
    "description": _or_null(_TEXT),
    "valueLabels": _list_of(_object({"value": _TEXT, "label": _TEXT})),
}
_STATISTICS: Json = {
    "variable": _object({"kind": {"const": "variable"}, "name": _TEXT, "type": _one_of(*VariableType)}),
    "status": _one_of("queued", "running", "completed", "failed"),
    "count": _or_null(_COUNT),
    "numDistinct": _or_null(_COUNT),
    "min": _or_null(_NUMBER),
    "max": _or_null(_NUMBER),
    "mean": _or_null(_NUMBER),
    "approxMedian": _or_null(_NUMBER),
    "stdDev": _or_null(_NUMBER),
    "frequencyDistribution": _or_null(
        _list_of(_object({"value": _TEXT, "count": _COUNT, "label": _or_null(_TEXT)}))
    ),
    "geoCentroid": _or_null(_object({"longitude": _NUMBER, "latitude": _NUMBER})),
    "geoBBox": _or_null(
        _object(
            {
                "westLongitude": _NUMBER,
                "eastLongitude": _NUMBER,
                "northLatitude": _NUMBER,
                "southLatitude": _NUMBER,
            }
        )
    ),
}
_ADDED_VARIABLE: Json = {"name": _TEXT, "type": _one_of(*VariableType)}

_SHA256: Json = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
_PROOF: Json = {
    "commit": {**_or_null(_COUNT), "description": "Which of the upload's commits wrote the rows, from 1."},
    "firstRow": {**_or_null(_COUNT), "description": "Rows of an upload are numbered from 0."},
    "lastRow": _or_null(_COUNT),
    "sha256": {**_or_null(_SHA256), "description": "Of the rows' canonical text."},
    "chain": {**_or_null(_SHA256), "description": "Of the upload after these rows."},
}
_INSERTED: Json = {
    "kind": {"const": "insertRowsResponse"},
    "rowsAdded": _COUNT,
    "rowsSkipped": _COUNT,
    "schemaUpdates": _list_of(reference("SchemaUpdate")),
    **_PROOF,
}
# Where rows were skipped, and rows left a full quarantine for them.
_SKIPPED: Json = {"errors": {**_list_of(reference("RowError")), "maxItems": 100}, "droppedCount": _COUNT}

_REQUEST: Json = {"key": _TEXT, "time": _or_null(_TIME)}
_STORED: Json = {"rowsAdded": _COUNT, **_PROOF}

SHAPES: Json = {
    "Owner": _object({"kind": _one_of(*OwnerKind), **_LOCATED, "name": _TEXT}),
    "Member": _resource("member", {"user": reference("Owner"), "role": _one_of(*MemberRole)}),
    "MemberList": _page_of("memberList", "Member"),
    "DatasetBase": _resource("dataset", _DATASET_BASE),
    "DatasetInList": _resource("dataset", _DATASET_IN_LIST),
    "Dataset": _resource("dataset", _DATASET),
    "DatasetList": _page_of("datasetList", "DatasetInList"),
    "AccessGrant": _resource("accessGrant", {"grantee": reference("Owner"), "accessLevel": _LEVEL}),
    "AccessGrantList": _page_of("accessGrantList", "AccessGrant"),
    "VersionBase": _resource("version", _VERSION_BASE),
    "VersionInList": _resource("version", _VERSION_IN_LIST),
    "Version": _resource("version", _VERSION),
    "VersionList": _page_of("versionList", "VersionInList"),
    "TableInList": _resource("table", _TABLE_IN_LIST),
    "Table": _resource("table", _TABLE),
    "TableList": _page_of("tableList", "TableInList"),
    "Upload": _resource("upload", _UPLOAD),
    "UploadList": _page_of("uploadList", "Upload"),
    "VariableInList": _resource("variable", _VARIABLE_IN_LIST),
    "Variable": _resource("variable", _VARIABLE),
    "VariableList": _page_of("variableList", "VariableInList"),
    "VariableStatistics": _resource("variableStatistics", _STATISTICS),
    "ReadSession": _object(
        {
            "kind": {"const": "readSession"},
            "id": _TEXT,
            "uri": _TEXT,
            "expiresAt": _TIME,
            "numRows": _COUNT,
            "streams": {**_list_of(reference("ReadStream")), "minItems": 1},
        }
    ),
    "ReadStream": _object({"kind": {"const": "readStream"}, "id": _TEXT, "estimatedRows": _COUNT}),
    "InsertRowsResponse": _optional(_object(_INSERTED), _SKIPPED),
    "InsertRowsValidation": _optional(
        _object({**_INSERTED, "validateOnly": {"const": True}}), {"errors": _SKIPPED["errors"]}
    ),
    "InsertRequest": {
        "oneOf": [
            _resource("insertRequest", {**_REQUEST, "state": {"const": "stored"}, **_STORED}),
            _resource(
                "insertRequest", {**_REQUEST, "state": {"const": "undone"}, **_STORED, "undoneAt": _TIME}
            ),
            _resource(
                "insertRequest",
                {
                    **_REQUEST,
                    "state": {"const": "rejected"},
                    "error": _one_of(ErrorCode.INVALID_REQUEST),
                    "error_description": _TEXT,
                    "errors": {**_list_of(reference("RowError")), "maxItems": 100},
                    "errorCount": _COUNT,
                },
            ),
        ]
    },
    "UploadVerification": _resource(
        "uploadVerification",
        {
            "isIntact": _FLAG,
            "rowCount": _COUNT,
            "commitCount": _COUNT,
            "chainFirstRow": {**_COUNT, "description": "The chain covers the rows from this one on."},
            "chain": _SHA256,
            "computedChain": _SHA256,
            "problem": _or_null(_TEXT),
        },
    ),
    "QuarantinedRow": _object(
        {
            "kind": {"const": "quarantinedRow"},
            "id": _COUNT,
            "row": {**_COUNT, "description": "Counts from 0 within its request."},
            "idempotencyKey": {**_or_null(_TEXT), "description": "That of its request."},
            "quarantinedAt": _TIME,
            "reasons": _list_of(_object({"variable": _or_null(_TEXT), "message": _TEXT})),
            "content": {**_TEXT, "description": "The JSON text of the row, as it came."},
        }
    ),
    "QuarantineList": _object(
        {
            "kind": {"const": "quarantineList"},
            "results": _list_of(reference("QuarantinedRow")),
            "nextPageToken": _or_null(_TEXT),
            "droppedCount": {
                **_COUNT,
                "description": "Rows that left for want of room since the quarantine was emptied.",
            },
        }
    ),
    "QuarantineReplay": _object(
        {
            "kind": {"const": "quarantineReplay"},
            "rowsAdded": _COUNT,
            "rowsRemaining": _COUNT,
            "schemaUpdates": _list_of(reference("SchemaUpdate")),
        }
    ),
    "SchemaUpdate": _object(
        {
            "updatedVariables": _list_of(
                _object({**_ADDED_VARIABLE, "previousType": _one_of(*VariableType)})
            ),
            "addedVariables": _list_of(_object(_ADDED_VARIABLE)),
        }
    ),
    "RowError": _object(
        {
            "row": {**_COUNT, "description": "Counts from 0 within the request."},
            "variable": {**_or_null(_TEXT), "description": "Null when the whole row is meant."},
            "message": _TEXT,
        }
    ),
    "Error": _optional(
        _object(
            {
                "status": {"type": "integer", "enum": sorted(set(STATUS_OF_CODE.values()))},
                "error": _one_of(*ErrorCode),
                "error_description": _TEXT,
            }
        ),
        {
            "scope": {**_TEXT, "description": "The scope that the token lacks."},
            "errors": {**_list_of(reference("RowError")), "maxItems": 100},
            "errorCount": _COUNT,
        },
    ),
    "Health": _object({"status": _one_of("ok")}),
    "Readiness": _optional(
        _object({"status": _one_of("ready", "failed"), "durability": reference("Durability")}),
        {"reason": _TEXT},
    ),
    "Durability": _object(
        {"class": _one_of(*DurabilityClass), "fsyncMs": _NUMBER, "fileSystem": _or_null(_TEXT)}
    ),
    "OpenApi": {"type": "object"},
}
