"""A ninth variable type is missed nowhere: each table by type is whole, or is named here with its reason."""

import importlib

from rowkeep.model.types import VariableType
from rowkeep.model.types.records import RECORDS
from tests.house.sources import PACKAGE, module_of, python_files

# Tables of some types only, and why the others are not in them.
PARTIAL = {
    "model.decoding.lenient_columns._CHARACTERS_MAX": "of types with fractions, which a longer text may hide",
    "formats.files.cells._KINDS": "what files have as moments and not as text",
    "formats.arrow_body._NUMBERS": "how Arrow's temporal types are seen as numbers",
    "formats.arrow_body._BOUNDS": "what Arrow's temporal types hold and rowkeep's do not",
    "formats.exports.spreadsheet._NUMBER_FORMATS": "what a cell shows as a date or a time",
    "formats.exports.statistical._DTA_FORMATS": "what Stata shows other than a plain number or text",
    "formats.exports.statistical._SAV_FORMATS": "the same of SPSS",
    "trials.kinds._PARSERS": "what JSON has no values for",
}


def tables_by_type() -> dict[str, set[VariableType]]:
    """Every dictionary of a module whose keys are variable types, by its name, and the types that it has."""
    found: dict[str, set[VariableType]] = {}
    for name in map(module_of, python_files(PACKAGE)):
        if name in {"", "__main__"}:
            continue
        module = importlib.import_module(f"rowkeep.{name}")
        for attribute, value in vars(module).items():
            is_table = (
                isinstance(value, dict) and value and all(isinstance(key, VariableType) for key in value)
            )
            if is_table:
                found[f"{name}.{attribute}"] = set(value)
    return found


def test_every_type_has_its_record() -> None:
    """What a type is stands in one place, for all types in their order."""
    assert list(RECORDS) == list(VariableType)


def test_every_table_by_type_is_whole() -> None:
    """Where code goes by the type of a variable no type falls through, and no exception is listed in vain."""
    tables = tables_by_type()
    assert "model.decoding.cells._CONVERTERS" in tables
    assert {name for name, types in tables.items() if types != set(VariableType)} == set(PARTIAL)
