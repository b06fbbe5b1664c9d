"""docs/sql.md lists what queries can use; the list is made from the code.

UPDATE_GOLDEN=1 scripts/test tests/house/test_sql_page.py writes it anew.
"""

import os

from rowkeep.sql.casts import listed_casts
from rowkeep.sql.signatures import listed_functions
from tests.house.sources import ROOT

PAGE = ROOT / "docs" / "sql.md"
START, END = "<!-- the list begins -->\n", "<!-- the list ends -->\n"


def listed() -> str:
    """The functions by chapter and name, and the casts, in Markdown."""
    lines: list[str] = []
    chapter = ""
    for function in listed_functions():
        if function.chapter != chapter:
            chapter = function.chapter
            lines += ["", f"### {chapter}", ""]
        lines.append(f"- `{function.text}`")
    lines += ["", "### CAST and SAFE_CAST", ""]
    targets: dict[str, list[str]] = {}
    for source, target in listed_casts():
        targets.setdefault(source, []).append(target)
    lines += [f"- {source} to {', '.join(sorted(to))}" for source, to in targets.items()]
    return "\n".join(lines).lstrip("\n") + "\n"


def test_the_list_is_the_codes() -> None:
    """Every function that works is on the page, and no other."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(START)
    found, _, after = rest.partition(END)
    if os.environ.get("UPDATE_GOLDEN"):
        PAGE.write_text(before + START + listed() + END + after, encoding="utf-8")
        found = listed()
    assert found == listed()
