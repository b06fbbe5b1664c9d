"""The parts of the OpenAPI document that only insertRows has: its parameters, bodies and answers."""

from typing import Any

from rowkeep.api.resources.insert_options import ACKS_OPTION, INSERT_OPTIONS, OFFSET_OPTIONS, SEQUENCE_OPTION
from rowkeep.model.decoding.strict import OFFSET_TOKEN_CHARACTERS_MAX
from rowkeep.model.inflating import ContentCoding
from rowkeep.model.long_inserts import LAST_ROW

Json = dict[str, Any]

_FLAG: Json = {"type": "string", "enum": ["true", "false"]}
_OFFSET_TOKEN: Json = {"type": "string", "maxLength": OFFSET_TOKEN_CHARACTERS_MAX}
_LINES = "application/x-ndjson"
_FLAG_IN_BODY: Json = {"type": ["boolean", "null"]}
_TOKEN_IN_BODY: Json = {
    "type": ["string", "null"],
    "minLength": 1,
    "maxLength": OFFSET_TOKEN_CHARACTERS_MAX,
}

# The body is decoded by a decoder made for the table's schema, not by a struct.
INSERT_ROWS_BODY: Json = {
    "type": "object",
    "required": ["rows"],
    "properties": {
        "rows": {"type": "array", "items": {"type": "object"}},
        "updateSchema": _FLAG_IN_BODY,
        "updateVariables": _FLAG_IN_BODY,
        "validateOnly": _FLAG_IN_BODY,
        "offsetToken": _TOKEN_IN_BODY,
        "expectedOffsetToken": _TOKEN_IN_BODY,
        "skipInvalidRows": _FLAG_IN_BODY,
    },
}


def complete_insert_rows(described: Json, validation: Json) -> None:
    """Adds to an operation what only insertRows has. `validation` is the schema of a dry run's answer."""
    described["parameters"] += [_key(), *_options(), *_long_options()]
    described["requestBody"] = _body()
    _complete_answers(described["responses"], validation)


def _key() -> Json:
    return {
        "name": "Idempotency-Key",
        "in": "header",
        "schema": {"type": "string", "minLength": 1, "maxLength": 255},
        "description": "A repeat with the same key and body inserts nothing and gets the same answer.",
    }


def _options() -> list[Json]:
    said = "As in the JSON body, which goes before it"
    return [
        *(_query(name, _FLAG, f"{said}.") for name in INSERT_OPTIONS),
        *(_query(name, _OFFSET_TOKEN, f"{said}; without a value for null.") for name in OFFSET_OPTIONS),
    ]


def _long_options() -> list[Json]:
    sequence = {"type": "integer", "minimum": 0, "maximum": LAST_ROW}
    return [
        _query(ACKS_OPTION, _FLAG, "A body of lines that may last: each group of rows is acknowledged."),
        _query(SEQUENCE_OPTION, sequence, "With acks: how many rows of the key were sent before this body."),
    ]


def _query(name: str, schema: Json, description: str) -> Json:
    return {"name": name, "in": "query", "schema": schema, "description": description}


def _body() -> Json:
    return {
        "required": True,
        "content": {
            "application/json": {"schema": {"$ref": "#/components/schemas/InsertRowsRequest"}},
            _LINES: {"schema": {"type": "string", "description": "A JSON object a line, each one row."}},
            "application/vnd.apache.arrow.stream": {},
        },
        "description": "Rows as a JSON object, one a line, or an Arrow stream. Like every body it may be "
        f"compressed, with `Content-Encoding: {', '.join(ContentCoding)}` (one of them); with acks "
        "it may not.",
    }


def _complete_answers(answers: Json, validation: Json) -> None:
    acks = "A line when it begins, one for each group that is durable and visible, and one that ends it."
    answers["200"] = {
        "description": "With validateOnly: what the answer would be; nothing was written. With acks: those.",
        "content": {
            "application/json": {"schema": validation},
            _LINES: {"schema": {"type": "string", "description": acks}},
        },
    }
    created = answers["201"]
    created["description"] = (
        "Every row of the request is durable and visible to the next read, but for those skipped on request."
    )
    created["headers"] = {
        "Server-Timing": {
            "schema": {"type": "string"},
            "description": "Milliseconds by phase, of those reached: read, decode, queue, commit, fsync.",
        },
        "Idempotency-Replayed": {"schema": {"const": "true"}, "description": "On the answer to a repeat."},
    }
