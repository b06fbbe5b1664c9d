"""Every road that rows take from a body to what is stored, as functions whose outcomes can be compared.

A row is given as JSON text, so that it may hold what no JSON encoder writes. The roads are those of the
server: one JSON object or a row a line, on the event loop (strict, else lenient) or in the decoding process
(in slices).
"""

import hashlib
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from rowkeep.model.chain import canonical_text
from rowkeep.model.decoding.lenient import LenientRows, decode_leniently, decode_lines_leniently
from rowkeep.model.decoding.row_lines import split_lines
from rowkeep.model.decoding.strict import StrictRefusal, row_decoder
from rowkeep.model.decoding.strict_rows import strict_rows
from rowkeep.model.errors import RowError, RowkeepError, RowsRefused
from rowkeep.model.inserts import BodyFormat
from rowkeep.model.quarantine import QuarantineBounds, RefusedRows, Skipping
from rowkeep.model.schema import Schema
from rowkeep.storage.journal.entries import decoded_lines
from rowkeep.workers.decoding_worker import DecodingJob, run_job

BOUNDS = QuarantineBounds(10_000, 10_000_000)


@dataclass(frozen=True)
class Asked:
    """What a request asks for beside its rows."""

    updates: bool = False
    skips: bool = False


@dataclass(frozen=True)
class Outcome:
    """What became of a body: its rows as stored (by digest and in words), or why nothing was."""

    variables: tuple[tuple[str, str, bool], ...] = ()
    rows: tuple[str, ...] = ()
    digest: bytes = b""
    errors: tuple[tuple[int, str | None, str], ...] = ()
    error_count: int = 0
    refusal: str | None = None


Road = Callable[[Sequence[str], Schema, Asked], Outcome]


def json_body(rows: Sequence[str], asked: Asked) -> bytes:
    """Rows as one JSON object."""
    flag = f'"skipInvalidRows":{str(asked.skips).lower()}'
    return ('{"rows":[' + ", ".join(rows) + "]," + flag + "}").encode("utf-8", "surrogateescape")


def lines_body(rows: Sequence[str]) -> bytes:
    """Rows one a line."""
    return "".join(row + "\n" for row in rows).encode("utf-8", "surrogateescape")


def small_json(rows: Sequence[str], schema: Schema, asked: Asked) -> Outcome:
    """A JSON body on the event loop."""
    body = json_body(rows, asked)
    return _small(body, schema, asked, BodyFormat.JSON)


def small_lines(rows: Sequence[str], schema: Schema, asked: Asked) -> Outcome:
    """A body of lines on the event loop."""
    return _small(lines_body(rows), schema, asked, BodyFormat.LINES)


def lenient_json(rows: Sequence[str], schema: Schema, asked: Asked) -> Outcome:
    """A JSON body on the event loop, without the strict path."""
    return _lenient(json_body(rows, asked), schema, asked, BodyFormat.JSON)


def large_json(rows: Sequence[str], schema: Schema, asked: Asked) -> Outcome:
    """A JSON body in the decoding process."""
    return large(json_body(rows, asked), schema, asked, BodyFormat.JSON)


def large_lines(rows: Sequence[str], schema: Schema, asked: Asked) -> Outcome:
    """A body of lines in the decoding process."""
    return large(lines_body(rows), schema, asked, BodyFormat.LINES)


ROADS: dict[str, Road] = {
    "JSON": small_json,
    "lines": small_lines,
    "JSON, lenient at once": lenient_json,
    "JSON in slices": large_json,
    "lines in slices": large_lines,
}


def _small(body: bytes, schema: Schema, asked: Asked, written_as: BodyFormat) -> Outcome:
    try:
        _, line = strict_rows(row_decoder(schema), body, written_as)
    except StrictRefusal:
        return _lenient(body, schema, asked, written_as)
    return _stored(schema, [line])


def _lenient(body: bytes, schema: Schema, asked: Asked, written_as: BodyFormat) -> Outcome:
    try:
        found = _lenient_rows(body, schema, asked, written_as)
    except RowsRefused as error:
        return _refused(error)
    except RowkeepError as error:
        return Outcome(refusal=error.message)
    return _stored(found.schema, [found.body] if found.row_count else [], found.refused)


def _lenient_rows(body: bytes, schema: Schema, asked: Asked, written_as: BodyFormat) -> LenientRows:
    if written_as is BodyFormat.JSON:
        skipping = Skipping(False, BOUNDS)
        return decode_leniently(body, schema, updates_by_default=asked.updates, skipping=skipping)
    bounds = BOUNDS if asked.skips else None
    return decode_lines_leniently(split_lines(body), schema, may_update=asked.updates, bounds=bounds)


def large(body: bytes, schema: Schema, asked: Asked, written_as: BodyFormat) -> Outcome:
    """Any body as the decoding process decodes it."""
    with tempfile.TemporaryDirectory() as folder:
        path, frames_path = Path(folder) / "body", Path(folder) / "frames"
        path.write_bytes(body)
        job = DecodingJob(
            body_path=str(path),
            format=written_as,
            coding=None,
            inflated_bytes_max=2**24,
            frames_path=str(frames_path),
            schema=schema,
            updates_by_default=asked.updates,
            skipping=Skipping(asked.skips, BOUNDS),
        )
        answer = run_job(job)
        if answer.row_errors:
            return _refused(RowsRefused(answer.row_errors, answer.row_error_count))
        if answer.error is not None:
            return Outcome(refusal=answer.error)
        content = frames_path.read_bytes()
    bodies, position = [], 0
    for frame in answer.frames:
        payload = content[position : position + frame.payload_bytes]
        position += frame.payload_bytes
        bodies += decoded_lines(frame.codec, payload).split(b"\n")
    skipped = content[position:]
    refused = msgspec.msgpack.decode(skipped, type=RefusedRows) if skipped else None
    outcome = _stored(answer.schema or schema, bodies, refused)
    assert outcome.digest == answer.rows_sha256
    return outcome


def _stored(schema: Schema, bodies: Sequence[bytes], refused: RefusedRows | None = None) -> Outcome:
    rows = [row for body in bodies for row in row_decoder(schema).read(body)]
    text = canonical_text(rows)
    return Outcome(
        variables=tuple((variable.name, variable.type, variable.inexact) for variable in schema.variables),
        rows=tuple(text.decode().split("\n")[:-1]),
        digest=hashlib.sha256(text).digest(),
        errors=() if refused is None else _shown(refused.errors),
        error_count=0 if refused is None else refused.row_count,
    )


def _refused(error: RowsRefused) -> Outcome:
    return Outcome(errors=_shown(error.row_errors), error_count=error.row_error_count)


def _shown(errors: Sequence[RowError]) -> tuple[tuple[int, str | None, str], ...]:
    return tuple((error.row, error.variable, error.message) for error in errors)
