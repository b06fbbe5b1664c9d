"""All files of the corpus."""

from tests.corpus import columnar, delimited, json_files, places, values, workbooks

CASES = [
    case for module in (columnar, delimited, json_files, places, values, workbooks) for case in module.CASES
]
