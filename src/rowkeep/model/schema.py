"""Schemas: the ordered variables of an upload or a table.

A schema of an upload is immutable and numbered; a change makes the next number (`schema_version`).
Later versions only add variables at the end or widen a type, so position i is the same variable in
every version of one upload.

`inexact` marks an integer variable that has been given a value which a double cannot hold. It is
what decides, without reading stored rows, whether the variable may widen to float or must widen to
string. The accepting decoder keeps the mark true: it refuses such a value for an unmarked variable,
and the lenient path then sets the mark in a new schema version.
Source: contract 4.6, 7.3, 7.8, 7.14, 7.29.
"""

import re
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from rowkeep.model.errors import RowkeepError, invalid_request
from rowkeep.model.types import VariableType
from rowkeep.model.types.records import widened

VARIABLE_NAME_CHARACTERS_MAX = 60
VARIABLES_MAX = 10_000
LABEL_CHARACTERS_MAX = 256
DESCRIPTION_CHARACTERS_MAX = 5_000
VALUE_LABELS_CHARACTERS_MAX = 1_000_000
RESERVED_NAMES = frozenset({"_upload_name"})

NAME_PATTERN = "[A-Za-z_][A-Za-z0-9_]*"

_name_match = re.compile(NAME_PATTERN, re.ASCII).fullmatch


class ValueLabel(msgspec.Struct, frozen=True):
    """The meaning of one value of a variable."""

    value: str
    label: str


class VariableMetadata(msgspec.Struct, frozen=True):
    """The description of a variable. It does not affect its values.

    `is_declared` marks what uploads of earlier versions declared; declarations of this version's uploads come
    first.
    """

    label: str | None = None
    description: str | None = None
    value_labels: tuple[ValueLabel, ...] = ()
    is_declared: bool = False


class Variable(msgspec.Struct, frozen=True, omit_defaults=True):
    """One column. `name` keeps the case it was declared with; names match ignoring case.

    `declared_name` is set when the name that was declared could name no variable and was repaired. Rows may
    use it too. A variable that `is_empty` has been given nothing but null; it is a string until its first
    value says otherwise.
    """

    name: str
    type: VariableType
    label: str | None = None
    description: str | None = None
    value_labels: tuple[ValueLabel, ...] = ()
    inexact: bool = False
    declared_name: str | None = None
    is_empty: bool = False


class Schema(msgspec.Struct, frozen=True):
    """The variables in order; `version` counts the changes of one upload from 1.

    While rows are decoded, `shared` holds the variables that other uploads of the table have: an upload takes
    their types for the names that it shares with them, and widens them only if `widens_shared`. This is no
    part of what is stored.
    """

    version: int
    variables: tuple[Variable, ...]
    shared: tuple[Variable, ...] = ()
    widens_shared: bool = False

    def widening_shared(self) -> "Schema":
        """Returns the schema for rows that may widen the types which the table has from other uploads."""
        return Schema(self.version, self.variables, self.shared, widens_shared=True) if self.shared else self

    def grown(self, variables: tuple[Variable, ...]) -> "Schema":
        """Returns the next version, with other variables."""
        return Schema(self.version + 1, variables, self.shared, self.widens_shared)

    def stored(self) -> "Schema":
        """Returns the stored part of the schema."""
        return Schema(self.version, self.variables) if self.shared else self

    def position_by_key(self) -> dict[str, int]:
        """Returns the position of each variable, by name in lower case."""
        return {variable.name.lower(): index for index, variable in enumerate(self.variables)}

    def declared_names(self) -> dict[str, str]:
        """Returns the repaired names of variables, by declared name in lower case."""
        return {
            variable.declared_name.lower(): variable.name
            for variable in self.variables
            if variable.declared_name is not None
        }

    def extends(self, earlier: "Schema") -> bool:
        """Returns whether this version only adds variables to an earlier one.

        Earlier rows then fit as they are.
        """
        known = zip(self.variables, earlier.variables, strict=False)
        return all(variable.type is before.type for variable, before in known)


def name_problem(name: str) -> str | None:
    """Returns why a variable cannot have this name, or None when it can."""
    if not _name_match(name):
        return "may hold only the letters A to Z, digits and _ and may not start with a digit"
    if len(name) > VARIABLE_NAME_CHARACTERS_MAX:
        return f"is longer than {VARIABLE_NAME_CHARACTERS_MAX} characters"
    if name.lower() in RESERVED_NAMES:
        return "is reserved"
    return None


def declared_schema(variables: Sequence[Variable]) -> Schema:
    """Returns a declared schema after checking names and counts.

    Raises invalid_request_error that names the variable.
    """
    if len(variables) > VARIABLES_MAX:
        raise invalid_request(f"A schema may hold at most {VARIABLES_MAX} variables, not {len(variables)}.")
    seen: dict[str, str] = {}
    for variable in variables:
        _check_variable(variable, seen)
        seen[variable.name.lower()] = variable.name
    return Schema(version=1, variables=tuple(variables))


def _check_variable(variable: Variable, seen: dict[str, str]) -> None:
    problem = name_problem(variable.name)
    if problem is not None:
        raise _variable_error(variable.name, problem)
    twin = seen.get(variable.name.lower())
    if twin is not None:
        raise _variable_error(variable.name, f"is the same name as {twin!r} (names ignore case)")
    check_metadata(
        variable.name, VariableMetadata(variable.label, variable.description, variable.value_labels)
    )


def check_metadata(name: str, metadata: VariableMetadata) -> None:
    """Checks a description against its limits. Raises invalid_request_error that names the variable."""
    if len(metadata.label or "") > LABEL_CHARACTERS_MAX:
        raise _variable_error(name, f"has a label longer than {LABEL_CHARACTERS_MAX} characters")
    if len(metadata.description or "") > DESCRIPTION_CHARACTERS_MAX:
        raise _variable_error(name, f"has a description longer than {DESCRIPTION_CHARACTERS_MAX} characters")
    character_count = sum(len(pair.value) + len(pair.label) for pair in metadata.value_labels)
    if character_count > VALUE_LABELS_CHARACTERS_MAX:
        raise _variable_error(name, f"has value labels of more than {VALUE_LABELS_CHARACTERS_MAX} characters")


def _variable_error(name: str, problem: str) -> RowkeepError:
    return invalid_request(f"The variable {name!r} {problem}.")


def described_schema(schema: Schema, metadata: Mapping[str, VariableMetadata]) -> Schema:
    """Returns the schema with descriptions, which are given by variable name in lower case."""
    if not metadata:
        return schema
    return Schema(
        schema.version,
        tuple(
            _described(variable, said) if (said := metadata.get(variable.name.lower())) else variable
            for variable in schema.variables
        ),
    )


def _described(variable: Variable, said: VariableMetadata) -> Variable:
    if said.is_declared:
        return _filled(variable, said)
    return msgspec.structs.replace(
        variable, label=said.label, description=said.description, value_labels=said.value_labels
    )


def _filled(variable: Variable, other: Variable | VariableMetadata) -> Variable:
    """Returns a variable, with another's description where it has none itself."""
    if other.label is None and other.description is None and not other.value_labels:
        return variable
    return msgspec.structs.replace(
        variable,
        label=other.label if variable.label is None else variable.label,
        description=other.description if variable.description is None else variable.description,
        value_labels=variable.value_labels or other.value_labels,
    )


def declared_metadata(schema: Schema) -> dict[str, VariableMetadata]:
    """Returns the descriptions in a schema, by variable name in lower case.

    Variables without one are left out.
    """
    return {
        variable.name.lower(): VariableMetadata(
            variable.label, variable.description, variable.value_labels, is_declared=True
        )
        for variable in schema.variables
        if variable.label is not None or variable.description is not None or variable.value_labels
    }


def merged_schema(schemas: Iterable[Schema]) -> Schema:
    """The schema of a table: its uploads' variables by name, ignoring case, widened where they differ.

    Order is that of first appearance; the first spelling wins, and the first label, description and value
    labels that are given.
    Source: contract 4.5 (stacking).
    """
    merged: dict[str, Variable] = {}
    for schema in schemas:
        for variable in schema.variables:
            key = variable.name.lower()
            known = merged.get(key)
            merged[key] = variable if known is None else joined_variable(known, variable)
    return Schema(version=0, variables=tuple(merged.values()))


def joined_variable(known: Variable, other: Variable) -> Variable:
    """Returns `known` with the type that holds the values of both.

    It also has what `other` says where `known` says nothing.
    """
    if known.is_empty or other.is_empty:
        decided = known if other.is_empty else other
        return msgspec.structs.replace(
            _filled(known, other), type=decided.type, inexact=decided.inexact, is_empty=decided.is_empty
        )
    inexact = known.inexact or other.inexact
    type_ = widened(known.type, other.type)
    if type_ is VariableType.FLOAT and inexact:
        type_ = VariableType.STRING
    if type_ is not VariableType.INTEGER:
        inexact = False
    return msgspec.structs.replace(_filled(known, other), type=type_, inexact=inexact)
