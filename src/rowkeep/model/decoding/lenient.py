"""From request bytes to typed rows: the lenient path, taken only when the strict one refuses.

Theory
------
The strict path (`model/decoding/strict.py`) is fast because it knows one spelling of everything. This path
reads the same body with the whole documented grammar: names in any case, `1.0` for an integer,
one-digit dates, date-only dateTimes, numbers where the schema may change. It ends in one of three
ways, and never half:

* the rows fit: they are rewritten into the strict spelling, under a schema that may have grown;
* some do not: RowsRefused names the first bad cells and counts all, or, where the caller would rather have
  the rest, those rows are skipped;
* the body is not what it should be at all: invalid_request_error says why.

Two passes over the rows: the first lets the schema grow (`SchemaGrowth`), the second converts every
cell to it, so a value in row 0 is spelled as row 999 needs it (an integer becomes text when a later
row makes the variable a string). Numbers with a fraction or exponent are kept as text until their
variable says what they are: an integer never passes through a double.
Source: contract 7.1-7.8.
"""

from collections.abc import Mapping, Sequence
from operator import attrgetter
from typing import Any

import msgspec

from rowkeep.model.decoding.cells import convert_cell, fits, misfit
from rowkeep.model.decoding.frame import FrameBroken, split_row
from rowkeep.model.decoding.lenient_columns import Unsure, decode_columns
from rowkeep.model.decoding.outline import read_outline, syntax_problem
from rowkeep.model.decoding.values import Cells, decode_cells, decode_value, describe, shown_name
from rowkeep.model.errors import ROW_ERRORS_MAX, RowError, RowsRefused
from rowkeep.model.growth import SchemaChange, SchemaGrowth, schema_change
from rowkeep.model.inserts import OffsetMove
from rowkeep.model.nearness import listing, suggestion
from rowkeep.model.quarantine import QuarantineBounds, Refusals, RefusedRows, Skipping
from rowkeep.model.schema import VARIABLE_NAME_CHARACTERS_MAX, Schema, Variable

_HOLDS_NOTHING = "the row holds no value, and this upload has no variable yet; send the keys too, with null"


class LenientRows(msgspec.Struct, frozen=True):
    """Rows in the strict spelling of `schema`. If the schema grew for them, `change` says how.

    `errors` and `error_count` are set when rows were refused; `body` must not be used then. Skipped rows are
    in `refused`. `validate_only` and `offset` are set if the request's body has them.
    """

    body: bytes
    row_count: int
    schema: Schema
    change: SchemaChange | None
    errors: tuple[RowError, ...] = ()
    error_count: int = 0
    refused: RefusedRows | None = None
    validate_only: bool | None = None
    offset: OffsetMove | None = None


class _RowErrors:
    """The first errors, and the number of all errors."""

    def __init__(self) -> None:
        self.first: list[RowError] = []
        self.count = 0

    def add(self, row: int, variable: str | None, message: str) -> None:
        self.count += 1
        if len(self.first) < ROW_ERRORS_MAX:
            shown = None if variable is None else variable[:VARIABLE_NAME_CHARACTERS_MAX]
            self.first.append(RowError(row, shown, message))


def decode_leniently(
    body: bytes, schema: Schema, *, updates_by_default: bool, skipping: Skipping | None = None
) -> LenientRows:
    """Reads `body` with the whole grammar.

    If the body does not say, `updates_by_default` decides whether the schema may change, and `skipping`
    whether rows that do not fit are skipped. Raises RowsRefused, or invalid_request_error for a body that is
    not an object with rows.
    """
    outline = read_outline(body)
    may_update = outline.may_update(by_default=updates_by_default)
    if outline.asks_for_updates:
        schema = schema.widening_shared()
    try:
        rows = _decode(outline.rows, schema, outline.skipping(skipping), may_update=may_update)
    except RowsRefused as error:
        error.validate_only = outline.validateOnly
        raise
    return msgspec.structs.replace(rows, validate_only=outline.validateOnly, offset=outline.offset)


def decode_lines_leniently(
    lines: Sequence[bytes], schema: Schema, *, may_update: bool, bounds: QuarantineBounds | None = None
) -> LenientRows:
    """Reads lines with the whole grammar. Each line must be one row.

    With `bounds`, lines that do not fit are skipped; without, they raise RowsRefused.
    """
    return _decode([msgspec.Raw(line) for line in lines], schema, bounds, may_update=may_update)


def _decode(
    raw_rows: Sequence[msgspec.Raw], schema: Schema, bounds: QuarantineBounds | None, *, may_update: bool
) -> LenientRows:
    # Rows that fit together are taken together; where the schema may not change, each is by itself anyway.
    if bounds is None or may_update:
        rows = decode_raw_rows(raw_rows, schema, may_update=may_update)
        if not rows.error_count:
            return rows
        if bounds is None:
            raise RowsRefused(list(rows.errors), rows.error_count)
    refusals = Refusals(bounds)
    rows = decode_fitting(raw_rows, schema, refusals, may_update=may_update)
    return msgspec.structs.replace(rows, refused=refusals.rows())


def decode_fitting(
    raw_rows: Sequence[msgspec.Raw],
    schema: Schema,
    refusals: Refusals,
    *,
    may_update: bool,
    first_index: int = 0,
) -> LenientRows:
    """Reads the rows that fit, in their order. The others go to `refusals` and change nothing else.

    Each row that fits the schema so far may make it grow. Earlier rows fit the grown schema too.
    """
    growth = SchemaGrowth(schema, fits=fits, may_update=may_update)
    kept: list[Cells] = []
    declared_names = schema.declared_names()
    for index, raw in enumerate(raw_rows, first_index):
        errors = _RowErrors()
        cells = _row_cells(index, raw, errors, declared_names)
        if not errors.count:
            growth.observe(cells)
            _convert_row(index, cells, growth.variables, errors, may_update=may_update)
            if not growth.variables and not errors.count:
                errors.add(index, None, _HOLDS_NOTHING)
        if errors.count:
            growth.undo()
            refusals.add(index, bytes(raw), errors.first)
        else:
            growth.keep()
            kept.append(cells)
    grown = growth.schema()
    errors = _RowErrors()
    converted = _convert_rows(kept, 0, grown, errors, may_update=may_update)
    if errors.count:
        raise ValueError(f"a row that fitted does not fit any more: {errors.first[0].message}")
    return LenientRows(
        body=b'{"rows":' + msgspec.json.encode(converted) + b"}",
        row_count=len(converted),
        schema=grown,
        change=None if grown is schema else schema_change(schema, grown),
    )


def decode_raw_rows(
    raw_rows: Sequence[msgspec.Raw], schema: Schema, *, may_update: bool, first_index: int = 0
) -> LenientRows:
    """Reads rows with the whole grammar. `first_index` is the first row's place in its request.

    Each row is decoded by itself, because lines of a body are not known to be JSON.
    """
    try:
        return _from_columns(raw_rows, schema, first_index, may_update=may_update)
    except Unsure:
        return decode_row_by_row(raw_rows, schema, may_update=may_update, first_index=first_index)


def _from_columns(
    raw_rows: Sequence[msgspec.Raw], schema: Schema, first_index: int, *, may_update: bool
) -> LenientRows:
    found = decode_columns(raw_rows, schema, may_update=may_update)
    variables = {variable.name.lower(): variable for variable in schema.variables}
    errors = _RowErrors()
    for refusal in found.refusals[:ROW_ERRORS_MAX]:
        name = refusal.name if refusal.variable is None else refusal.variable.name
        message = refusal.message or _unknown_variable(name, refusal.value, variables, may_update=may_update)
        errors.add(first_index + refusal.row, name, message)
    return LenientRows(
        body=b'{"rows":' + msgspec.json.encode(found.rows) + b"}",
        row_count=len(found.rows),
        schema=schema,
        change=None,
        errors=tuple(errors.first),
        error_count=len(found.refusals),
    )


def decode_row_by_row(
    raw_rows: Sequence[msgspec.Raw], schema: Schema, *, may_update: bool, first_index: int = 0
) -> LenientRows:
    """Decodes rows one at a time, whatever they hold. lenient_columns.py is faster and takes most rows."""
    unreadable, unfit = _RowErrors(), _RowErrors()
    declared_names = schema.declared_names()
    rows = [
        _row_cells(first_index + index, raw, unreadable, declared_names) for index, raw in enumerate(raw_rows)
    ]
    growth = SchemaGrowth(schema, fits=fits, may_update=may_update)
    for cells in rows:
        growth.observe(cells)
    grown = growth.schema()
    converted = _convert_rows(rows, first_index, grown, unfit, may_update=may_update)
    if not grown.variables:
        _report_empty_rows(raw_rows, first_index, unfit, may_update=may_update)
    errors = sorted(unreadable.first + unfit.first, key=attrgetter("row"))
    return LenientRows(
        body=b'{"rows":' + msgspec.json.encode(converted) + b"}",
        row_count=len(converted),
        schema=grown,
        change=None if grown is schema else schema_change(schema, grown),
        errors=tuple(errors[:ROW_ERRORS_MAX]),
        error_count=unreadable.count + unfit.count,
    )


def _report_empty_rows(
    raw_rows: Sequence[msgspec.Raw], first_index: int, errors: _RowErrors, *, may_update: bool
) -> None:
    """Refuses rows without values while the schema has no variable, because no reader could be shown them."""
    for index, raw in enumerate(raw_rows, first_index):
        found = _RowErrors()
        _convert_row(index, _row_cells(index, raw, found, {}), {}, found, may_update=may_update)
        if not found.count:
            errors.add(index, None, _HOLDS_NOTHING)


def _row_cells(index: int, raw: msgspec.Raw, errors: _RowErrors, declared_names: Mapping[str, str]) -> Cells:
    """Returns the cells of a row by variable name. `declared_names` maps declared names to repaired ones."""
    try:
        cells = decode_cells(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        cells = _readable_cells(index, raw, errors)
    if len({declared_names.get(name.lower(), name).lower() for name in cells}) < len(cells):
        _report_twins(index, cells, errors, declared_names)
        return {}
    if not declared_names:
        return cells
    return {declared_names.get(name.lower(), name): value for name, value in cells.items()}


def _report_twins(index: int, cells: Cells, errors: _RowErrors, declared_names: Mapping[str, str]) -> None:
    spelling: dict[str, str] = {}
    for name in cells:
        twin = spelling.setdefault(declared_names.get(name.lower(), name).lower(), name)
        if twin != name:
            both = f"{shown_name(twin)} and {shown_name(name)}"
            errors.add(index, name, f"the keys {both} name the same variable; send one of them")


def _readable_cells(index: int, raw: msgspec.Raw, errors: _RowErrors) -> Cells:
    """Returns the readable cells of a row that does not decode as a whole. Reports the unreadable ones."""
    try:
        members = split_row(memoryview(raw))
    except FrameBroken:
        errors.add(index, None, _row_problem(raw))
        return {}
    cells: Cells = {}
    for key, value in members:
        name = _readable_key(index, key, errors)
        if name is None:
            continue
        try:
            cells[name] = decode_value(value)
        except UnicodeDecodeError:
            errors.add(index, name, f"the value of {shown_name(name)} is not valid UTF-8")
        except RecursionError:
            errors.add(index, name, f"the value of {shown_name(name)} is nested too deeply")
        except msgspec.DecodeError as error:
            errors.add(index, name, _value_problem(f"the value of {shown_name(name)}", value, error))
    return cells


_NO_NUMBERS = (b"NaN", b"Infinity", b"-Infinity")
_MARKED = (b'"', b"[", b"{")  # what is wrong within these is said by its place


def _value_problem(subject: str, value: bytes, error: msgspec.DecodeError) -> str:
    if value in _NO_NUMBERS:
        return f"{subject} is {value.decode()}, and JSON has no such number; send null for a missing one"
    if value[:1] not in _MARKED:
        shown = shown_name(value.decode(errors="replace"))[1:-1]
        return f"{subject} is {shown}, which is no JSON (true, false, null, a number, or a text in quotes)"
    return syntax_problem(str(error), value, subject).rstrip(".")


def _readable_key(index: int, key: bytes, errors: _RowErrors) -> str | None:
    try:
        return msgspec.json.decode(key, type=str)
    except UnicodeDecodeError:
        errors.add(index, None, "a key is not valid UTF-8")
    except msgspec.DecodeError as error:
        errors.add(index, None, syntax_problem(str(error), key, "a key").rstrip("."))
    return None


def _row_problem(raw: msgspec.Raw) -> str:
    """Returns why a text is not a row."""
    line = memoryview(raw)
    try:
        value = decode_value(bytes(line))
    except RecursionError:
        return "a row must be an object, but got an array"  # nothing else nests around a row
    except UnicodeDecodeError:
        return "the row is not valid UTF-8"
    except msgspec.DecodeError as error:
        reason = str(error)
        if "trailing characters" in reason:
            return (
                f"the line is more than one row: something follows its object ({reason.partition(': ')[2]})"
            )
        return syntax_problem(reason, line, "the row").rstrip(".")
    return f"a row must be an object, but got {describe(value)}"


def _convert_rows(
    rows: list[Cells], first_index: int, schema: Schema, errors: _RowErrors, *, may_update: bool
) -> list[dict[str, Any]]:
    variables = {variable.name.lower(): variable for variable in schema.variables}
    return [
        _convert_row(first_index + index, cells, variables, errors, may_update=may_update)
        for index, cells in enumerate(rows)
    ]


def _convert_row(
    index: int, cells: Cells, variables: Mapping[str, Variable], errors: _RowErrors, *, may_update: bool
) -> dict[str, Any]:
    converted: dict[str, Any] = {}
    for name, value in cells.items():
        variable = variables.get(name.lower())
        if variable is None:
            if value is not None or not may_update:
                errors.add(index, name, _unknown_variable(name, value, variables, may_update=may_update))
        elif value is not None:
            try:
                converted[variable.name] = convert_cell(value, variable.type)
            except ValueError as error:
                errors.add(index, variable.name, misfit(variable, value, error))
    return converted


_WHOLE_BODY = (
    'unknown variable "rows": the row is an object with `rows`, as a whole body is; send such a body as it '
    "is, with `Content-Type: application/json`"
)


def _unknown_variable(
    name: str, value: object, variables: Mapping[str, Variable], *, may_update: bool
) -> str:
    if name == "rows" and isinstance(value, list):
        return _WHOLE_BODY
    if may_update:
        return SchemaGrowth.refusal(name, value, len(variables))
    known = [variable.name for variable in variables.values()]
    listed = listing(known) or "(none)"
    return (
        f"unknown variable {shown_name(name)}; the variables of this upload are: {listed}."
        f'{suggestion(name, known)} To add a variable, send "updateSchema": true with the rows'
    )
