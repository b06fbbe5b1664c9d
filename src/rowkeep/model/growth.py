"""How a schema grows from the rows of one request.

New variables go to the end, types only widen, null fits anything. A key that has had nothing but null
declares a variable that is empty: its first value decides its type. A variable that the table has from
other uploads (`Schema.shared`) takes its type from there, and is widened only if the request asks for it.
Even where the schema may not change, an integer that a double cannot hold marks its variable `inexact`
(see model/schema.py), and a first value ends its being empty: that is bookkeeping, not a change a caller
sees.
Source: contract 7.1, 7.8, 4.5.1 (`schemaUpdates`).
"""

from collections.abc import Callable, Mapping

import msgspec

from rowkeep.model.decoding.values import (
    Cells,
    NumberText,
    describe,
    exact_integer,
    fits_double,
    shown_name,
)
from rowkeep.model.names import repaired_name
from rowkeep.model.schema import VARIABLES_MAX, Schema, Variable, name_problem
from rowkeep.model.types import VariableType, integer_fits_double
from rowkeep.model.types.records import widened
from rowkeep.model.types.text import parse_date_time


class AddedVariable(msgspec.Struct, frozen=True):
    """A variable that was added by rows."""

    name: str
    type: VariableType


class UpdatedVariable(msgspec.Struct, frozen=True, rename="camel"):
    """A variable whose type was widened by rows."""

    name: str
    type: VariableType
    previous_type: VariableType


class SchemaChange(msgspec.Struct, frozen=True, rename="camel"):
    """The changes to a schema, as `schemaUpdates` reports them."""

    updated_variables: tuple[UpdatedVariable, ...] = ()
    added_variables: tuple[AddedVariable, ...] = ()


class SchemaGrowth:
    """Collects what the rows of one request ask of the schema.

    `fits(value, type)` says whether a variable of that type takes the value as it is.
    """

    def __init__(
        self, schema: Schema, *, fits: Callable[[object, VariableType], bool], may_update: bool
    ) -> None:
        self._before = schema
        self._fits = fits
        self._may_update = may_update
        self._variables = {variable.name.lower(): variable for variable in schema.variables}
        self._shared = {variable.name.lower(): variable for variable in schema.shared}
        self._undoing: list[tuple[str, Variable | None]] = []

    @property
    def variables(self) -> Mapping[str, Variable]:
        """Returns the variables so far, by name in lower case."""
        return self._variables

    def observe(self, cells: Cells) -> None:
        """Widens, adds or marks variables so that the cells of one row fit."""
        for name, value in cells.items():
            if name.lower() not in self._variables and self._may_update and self._may_add(name):
                self._add(name, value)
            variable = self._variables.get(name.lower())
            if variable is None or value is None:
                continue
            if variable.is_empty:
                self._settle(variable, value)
            self._widen(self._variables[name.lower()], value)

    def _add(self, name: str, value: object) -> None:
        """Adds a variable with the type that the table has for it, or else an empty one."""
        shared = self._shared.get(name.lower())
        if shared is not None:
            self._put(Variable(name=shared.name, type=shared.type))
        elif value is None or _inferred_type(value) is not None:
            self._put(Variable(name=name, type=VariableType.STRING, is_empty=True))

    def _settle(self, variable: Variable, value: object) -> None:
        """Gives an empty variable the type of its first value."""
        shared = self._shared.get(variable.name.lower())
        type_ = _inferred_type(value) if shared is None else shared.type
        if type_ is not None:
            settled = type_ if self._may_update else variable.type
            self._put(msgspec.structs.replace(variable, type=settled, is_empty=False))

    def _may_add(self, name: str) -> bool:
        return name_problem(name) is None and len(self._variables) < VARIABLES_MAX

    def _widen(self, variable: Variable, value: object) -> None:
        if variable.type is VariableType.INTEGER and _is_inexact(exact_integer(value)):
            if not variable.inexact:
                self._put(msgspec.structs.replace(variable, inexact=True))
        elif self._may_update and self._may_widen(variable):
            type_ = self._type_for(variable, value)
            if type_ is not variable.type:
                self._put(msgspec.structs.replace(variable, type=type_, inexact=False))

    def _may_widen(self, variable: Variable) -> bool:
        return self._before.widens_shared or variable.name.lower() not in self._shared

    def _type_for(self, variable: Variable, value: object) -> VariableType:
        if variable.type is VariableType.STRING or self._fits(value, variable.type):
            return variable.type
        if variable.type is VariableType.FLOAT and _would_be_rounded(value):
            return VariableType.STRING
        if variable.type is VariableType.DATE and _is_date_time(value):
            return VariableType.DATE_TIME
        inferred = _inferred_type(value)
        if inferred is None:
            return variable.type
        type_ = widened(variable.type, inferred)
        return VariableType.STRING if type_ is VariableType.FLOAT and variable.inexact else type_

    def keep(self) -> None:
        """Makes the growth so far permanent."""
        self._undoing.clear()

    def undo(self) -> None:
        """Undoes the growth since `keep` was called last."""
        while self._undoing:
            key, before = self._undoing.pop()
            if before is None:
                del self._variables[key]
            else:
                self._variables[key] = before

    def _put(self, variable: Variable) -> None:
        key = variable.name.lower()
        self._undoing.append((key, self._variables.get(key)))
        self._variables[key] = variable

    def schema(self) -> Schema:
        """Returns the grown schema as the next version, or the schema before when nothing changed."""
        variables = tuple(self._variables.values())
        if variables == self._before.variables:
            return self._before
        return self._before.grown(variables)

    @staticmethod
    def refusal(name: str, value: object, variable_count: int) -> str:
        """Returns why an unknown variable could not be added."""
        problem = name_problem(name)
        if problem is not None:
            return (
                f"no variable can be added for the key {shown_name(name)}: such a name {problem}; "
                f"{repaired_name(name)} would do"
            )
        if variable_count >= VARIABLES_MAX:
            return (
                f"variable {shown_name(name)} would be one more than the {VARIABLES_MAX} an upload may hold"
            )
        return f"variable {shown_name(name)} takes a single value, but got {describe(value)}"


def schema_change(before: Schema, after: Schema) -> SchemaChange:
    """Returns the changes from one schema of an upload to a later one."""
    known = len(before.variables)
    pairs = zip(before.variables, after.variables[:known], strict=True)
    return SchemaChange(
        updated_variables=tuple(
            UpdatedVariable(new.name, new.type, old.type) for old, new in pairs if old.type is not new.type
        ),
        added_variables=tuple(
            AddedVariable(variable.name, variable.type) for variable in after.variables[known:]
        ),
    )


def _inferred_type(value: object) -> VariableType | None:
    if isinstance(value, bool):
        return VariableType.BOOLEAN
    if isinstance(value, NumberText) and value != "-0":
        return VariableType.FLOAT if fits_double(value) else VariableType.STRING
    if isinstance(value, NumberText | int):
        return VariableType.INTEGER if exact_integer(value) is not None else VariableType.STRING
    return VariableType.STRING if isinstance(value, str) else None


def _is_inexact(value: object) -> bool:
    return isinstance(value, int) and not integer_fits_double(value)


def _would_be_rounded(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | NumberText):
        return False
    return not fits_double(value)


def _is_date_time(value: object) -> bool:
    try:
        parse_date_time(str(value))
    except ValueError:
        return False
    return True
