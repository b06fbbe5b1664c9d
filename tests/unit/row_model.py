"""What an upload and a table ought to hold, computed in the plainest way: each value kept as it was typed.

Theory
------
A request's rows are typed by the schema that the request leaves behind, and a value keeps that type for
ever: when its variable is later widened, it is shown in the wider type by what it was (an integer that
became a text reads "1", one that was taken in as a float reads "1.0"). So the model keeps a type beside each
value and knows nothing of schema versions, entries or segments.
"""

import datetime
import hashlib
import io
import json
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec
import pyarrow

from tests.arrow_streams import arrow_batches
from tests.unit.version_model import ModelTable, ModelUpload

Row = dict[str, Any]

# What a text may be beside a string; the values as Python has them.
_LEAP_DAY = datetime.date(2024, 2, 29)
_LAST_MOMENT = datetime.datetime(9999, 12, 31, 23, 59, 59, 999999)
TEXTS: dict[str, dict[str, Any]] = {
    "": {},
    "0": {},
    'é "q",\n': {},
    "2024-02-29": {"date": _LEAP_DAY, "dateTime": datetime.datetime(2024, 2, 29)},
    "0001-01-01": {"date": datetime.date(1, 1, 1), "dateTime": datetime.datetime(1, 1, 1)},
    "2024-02-29T12:30:00": {"dateTime": datetime.datetime(2024, 2, 29, 12, 30)},
    "9999-12-31 23:59:59.999999": {"dateTime": _LAST_MOMENT},
    "00:00:00": {"time": datetime.time()},
    "23:59:59.5": {"time": datetime.time(23, 59, 59, 500_000)},
    "POINT(1 2)": {"geography": "POINT(1 2)"},
}
INEXACT = 2**53 + 1
NUMBERS = [0, -7, 1000, INEXACT, 1.5, -2.25, 4.0, -0.0]
_WIDER = {frozenset({"integer", "float"}): "float", frozenset({"date", "dateTime"}): "dateTime"}
_ARROW_TYPES = {
    "integer": pyarrow.int64(),
    "float": pyarrow.float64(),
    "boolean": pyarrow.bool_(),
    "date": pyarrow.date32(),
    "dateTime": pyarrow.timestamp("us"),
    "time": pyarrow.time64("us"),
}


class Refused(Exception):
    """The rows do not fit."""


@dataclass(frozen=True)
class ModelVariable:
    """A column; `is_inexact` with an integer that no double holds, `is_empty` with nothing but null."""

    name: str
    type: str
    is_inexact: bool = False
    is_empty: bool = False

    def joined(self, other: "ModelVariable") -> "ModelVariable":
        """The variable that holds the values of both."""
        if self.is_empty or other.is_empty:
            return replace(self if other.is_empty else other, name=self.name)
        is_inexact = self.is_inexact or other.is_inexact
        type_ = wider(self.type, other.type)
        if type_ == "float" and is_inexact:
            type_ = "string"
        return ModelVariable(self.name, type_, is_inexact and type_ == "integer")


def wider(one: str, other: str) -> str:
    """The narrowest type that holds the values of both."""
    return one if one == other else _WIDER.get(frozenset({one, other}), "string")


def inferred(value: object) -> str | None:
    """The type that a value declares where none was declared."""
    names = {bool: "boolean", int: "integer", float: "float", str: "string"}
    return names.get(type(value))


def typed(value: Any, type_: str) -> Any:
    """A value as a variable of a type takes it in. Raises Refused."""
    if type_ == "string" and inferred(value) is not None:
        return text_of(value)
    if isinstance(value, str):
        if type_ in TEXTS[value]:
            return TEXTS[value][type_]
    elif type_ == inferred(value) or (type_ == "float" and type(value) is int and value != INEXACT):
        return float(value) if type_ == "float" else value
    elif type_ == "integer" and type(value) is float and value.is_integer():
        return int(value)
    raise Refused


def fits(value: Any, type_: str) -> bool:
    """Whether a variable of a type takes a value as it is."""
    try:
        typed(value, type_)
    except Refused:
        return False
    return True


def shown(value: Any, type_: str, target: str) -> Any:
    """A value of one type in a type as wide or wider."""
    if value is None or type_ == target:
        return value
    if target == "string":
        return text_of(value)
    return float(value) if target == "float" else datetime.datetime.combine(value, datetime.time())


def text_of(value: Any) -> str:
    """What JSON shows of a value, without quotes."""
    if isinstance(value, str):
        return value
    if isinstance(value, datetime.datetime):
        return value.isoformat(sep=" ")
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    return msgspec.json.encode(value).decode()


@dataclass(frozen=True)
class Shared:
    """What the table has from elsewhere, by key, and whether the rows may widen it."""

    variables: dict[str, ModelVariable] = field(default_factory=dict)
    may_widen: bool = False

    def may_update(self, key: str, *, may_update: bool) -> bool:
        """Whether rows may widen a variable."""
        return may_update and (self.may_widen or key not in self.variables)


def grown(
    variables: dict[str, ModelVariable], rows: list[Row], shared: Shared, *, may_update: bool
) -> dict[str, ModelVariable]:
    """The variables by key after some rows."""
    after = dict(variables)
    for row in rows:
        for name, value in row.items():
            key, known = name.lower(), shared.variables.get(name.lower())
            if key not in after and may_update and known is not None:
                after[key] = ModelVariable(known.name, known.type)
            elif key not in after and may_update and (value is None or inferred(value) is not None):
                after[key] = ModelVariable(name, "string", is_empty=True)
            variable = after.get(key)
            if variable is None or value is None:
                continue
            if variable.is_empty and inferred(value) is not None:
                type_ = str(inferred(value)) if known is None else known.type
                variable = ModelVariable(variable.name, type_ if may_update else variable.type)
            after[key] = _widened(variable, value, may_update=shared.may_update(key, may_update=may_update))
    return after


def _widened(variable: ModelVariable, value: Any, *, may_update: bool) -> ModelVariable:
    if variable.type == "integer" and value == INEXACT:
        return replace(variable, is_inexact=True)
    type_ = inferred(value)
    if not may_update or type_ is None or variable.type == "string":
        return variable
    if variable.type == "float" and value == INEXACT:
        return ModelVariable(variable.name, "string")
    if fits(value, variable.type):
        return variable
    if variable.type == "date" and type_ == "string" and "dateTime" in TEXTS[value]:
        return ModelVariable(variable.name, "dateTime")
    return variable.joined(ModelVariable(variable.name, type_))


@dataclass
class TypedUpload(ModelUpload):
    """A stream; `rows` are those it shows, (type, value) by key, and `numbers` those that the rows have.

    `receipts` are what was answered to each key: its body and its proof; `undone` the keys of those undone.
    """

    updates: bool = True
    variables: dict[str, ModelVariable] = field(default_factory=dict)
    numbers: list[int] = field(default_factory=list)
    row_end: int = 0
    commit_count: int = 0
    chain: bytes = bytes(32)
    receipts: dict[str, tuple[bytes, "Proof"]] = field(default_factory=dict)
    undone: set[str] = field(default_factory=set)

    def insert(self, rows: list[Row], shared: Shared, *, may_update: bool) -> "Proof":
        """Takes rows in; what proves it. Raises Refused, and nothing has changed."""
        after = grown(self.variables, rows, shared, may_update=may_update)
        if rows and not after:
            raise Refused
        stored = [_stored(row, after, may_update=may_update) for row in rows]
        text = "".join(_canonical(row, after) for row in stored)
        sha256 = hashlib.sha256(text.encode()).digest()
        if not rows:
            return Proof(0, None, None, sha256, self.chain)
        first_row = self.row_end
        self.rows += stored
        self.numbers += range(first_row, first_row + len(rows))
        self.row_end += len(rows)
        self.variables = after
        self.commit_count += 1
        self.chain = hashlib.sha256(self.chain + sha256).digest()
        return Proof(len(rows), self.commit_count, first_row, sha256, self.chain)

    def undo(self, key: str) -> None:
        """Takes out the rows of a request."""
        _, proof = self.receipts[key]
        first_row = proof.first_row or 0
        removed = range(first_row, first_row + proof.row_count)
        kept = [pair for pair in zip(self.numbers, self.rows, strict=True) if pair[0] not in removed]
        self.numbers, self.rows = [number for number, _ in kept], [row for _, row in kept]
        self.undone.add(key)


@dataclass(frozen=True)
class Proof:
    """What a receipt says beside the change of the schema."""

    row_count: int
    commit: int | None
    first_row: int | None
    sha256: bytes
    chain: bytes


def _canonical(row: Row, variables: dict[str, ModelVariable]) -> str:
    """A row as docs/guide-receipts.md says; no float here needs an exponent."""
    cells = {variable.name: _plain(row[key][0]) for key, variable in variables.items() if key in row}
    return json.dumps(cells, ensure_ascii=False, separators=(",", ":")) + "\n"


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime.date | datetime.time) else value


def _stored(row: Row, variables: dict[str, ModelVariable], *, may_update: bool) -> Row:
    stored: Row = {}
    for name, value in row.items():
        variable = variables.get(name.lower())
        if variable is None and (value is not None or not may_update):
            raise Refused
        if variable is not None and value is not None:
            stored[name.lower()] = typed(value, variable.type), variable.type
    return stored


class TypedTable(ModelTable):
    """A table whose uploads are typed."""

    def types(self) -> dict[str, str]:
        """Its variables' types by key."""
        return {key: variable.type for key, variable in self.merged().items()}

    def merged(self) -> dict[str, ModelVariable]:
        """Its variables by key: those of its uploads, widened where they differ."""
        return merged_variables(self.content())

    def shared(self, upload: TypedUpload, *, may_widen: bool) -> Shared:
        """What an upload without a schema takes the types of: others' schemas, the version before."""
        if not upload.updates:
            return Shared()
        earlier = [] if self.parent is None else self.parent.content()
        declared = [other for other in self.uploads if not other.updates]
        merged = merged_variables([*earlier, *declared])
        return Shared({key: known for key, known in merged.items() if not known.is_empty}, may_widen)


def merged_variables(uploads: list[TypedUpload]) -> dict[str, ModelVariable]:
    """The variables of uploads by key."""
    merged: dict[str, ModelVariable] = {}
    for upload in uploads:
        for key, variable in upload.variables.items():
            merged[key] = merged[key].joined(variable) if key in merged else variable
    return merged


@dataclass(frozen=True)
class Expected:
    """What a reader must be sent: rows of plain values, a value for each variable."""

    variables: list[ModelVariable]
    rows: list[list[Any]]

    def part(self, first: int, end: int) -> "Expected":
        """Some of the rows."""
        return Expected(self.variables, self.rows[first:end])

    def check(self, format_name: str, body: bytes) -> None:
        """Compares: text to the byte; Arrow by value, as its batches may be cut anywhere."""
        if format_name == "arrow":
            self._check_arrow(body)
        else:
            assert body == (self._csv() if format_name == "csv" else self._json_lines())

    def _check_arrow(self, body: bytes) -> None:
        with pyarrow.ipc.open_stream(body) as opened:
            schema = opened.schema
        batches = arrow_batches(body)
        assert all(batch.num_rows for batch in batches)
        assert [(field.name, field.type) for field in schema] == [
            (variable.name, _ARROW_TYPES.get(variable.type, pyarrow.string())) for variable in self.variables
        ]
        found = [list(row.values()) for batch in batches for row in batch.to_pylist()]
        assert repr(found) == repr(self.rows)  # repr tells -0.0 from 0.0

    def _json_lines(self) -> bytes:
        lines = io.BytesIO()
        for row in self.rows:
            cells = {
                variable.name: value if value is None or variable.type not in _TEMPORAL else text_of(value)
                for variable, value in zip(self.variables, row, strict=True)
            }
            lines.write(msgspec.json.encode(cells) + b"\n")
        return lines.getvalue()

    def _csv(self) -> bytes:
        lines = [",".join(f'"{variable.name}"' for variable in self.variables)]
        for row in self.rows:
            cells = [
                _csv_cell(value, variable.type) for variable, value in zip(self.variables, row, strict=True)
            ]
            lines.append(",".join(cells))
        # Alone in its line a null is `""`; that of a string ends in CRLF.
        types = [variable.type for variable in self.variables]
        alone = {"": '""\r' if types == ["string"] else '""'} if len(types) == 1 else {}
        return "".join(f"{alone.get(line, line)}\n" for line in lines).encode()


_TEMPORAL = ("date", "dateTime", "time")


def _csv_cell(value: Any, type_: str) -> str:
    if value is None:
        return ""
    if type_ == "date":
        return str(value)
    if isinstance(value, float):
        return f"{value:g}"
    if type_ in ("integer", "boolean"):
        return text_of(value)
    return '"' + text_of(value).replace('"', '""') + '"'


def expected(
    variables: dict[str, ModelVariable],
    uploads: list[TypedUpload],
    names: list[str] | None = None,
    rows_max: int | None = None,
) -> Expected:
    """What a reader of these uploads sees, of all variables or some."""
    keys = list(variables) if names is None else [name.lower() for name in names]
    chosen = [variables[key] for key in keys]
    rows = [
        [shown(*row[key], variables[key].type) if key in row else None for key in keys]
        for upload in uploads
        for row in upload.rows
    ]
    return Expected(chosen, rows[:rows_max])
