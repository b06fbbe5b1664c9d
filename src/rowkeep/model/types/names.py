"""The names of types that callers send:

those of the API, and those of other systems, which get an explanation.
"""

from rowkeep.model.nearness import nearest
from rowkeep.model.types import VariableType

# What other systems call the types.
_OTHER_NAMES = {
    VariableType.STRING: (
        "str",
        "text",
        "varchar",
        "char",
        "character",
        "object",
        "factor",
        "category",
        "uuid",
    ),
    VariableType.INTEGER: ("int", "int8", "int16", "int32", "int64", "uint64", "long", "bigint", "smallint"),
    VariableType.FLOAT: ("double", "number", "numeric", "decimal", "real", "float32", "float64"),
    VariableType.BOOLEAN: ("bool", "logical", "bit"),
    VariableType.DATE_TIME: ("timestamp", "posixct", "datetime64", "date_time"),
    VariableType.DATE: ("date32", "day"),
    VariableType.TIME: ("time64", "hms"),
    VariableType.GEOGRAPHY: ("geometry", "geo", "wkt", "point", "geom"),
}
_TYPE_OF_OTHER_NAME = {name: type_ for type_, names in _OTHER_NAMES.items() for name in names} | {
    type_.lower(): type_ for type_ in VariableType
}


def variable_type(name: str) -> VariableType:
    """Returns the type of this name. Raises ValueError that lists the types and suggests one."""
    try:
        return VariableType(name)
    except ValueError:
        meant = _TYPE_OF_OTHER_NAME.get(name.strip().lower()) or nearest(name, VariableType)
        suggestion = "" if meant is None else f"; use {meant}"
        raise ValueError(
            f"there is no type {name[:60]!r}{suggestion}. The types are {', '.join(VariableType)}"
        ) from None
