"""What a user can set, meet or call is documented, and what is documented exists."""

import asyncio
import re
from pathlib import Path
from typing import Any, cast

import pytest

from rowkeep.api.http.traffic import Traffic
from rowkeep.api.http.wire import STATUS_OF_CODE, Answer
from rowkeep.api.resources.operations import LiveFigures, OperationHandlers
from rowkeep.commands.serve import setting_meanings
from rowkeep.config import Settings
from rowkeep.model.errors import ErrorCode
from rowkeep.model.health import Durability, DurabilityClass, Health
from rowkeep.services.maintenance import MaintenanceHealth
from tests.house.sources import ROOT
from tests.routes import OPERATIONS

DOCS = ROOT / "docs"
PAGES = [*sorted(ROOT.glob("*.md")), *sorted(DOCS.glob("*.md"))]
_links = re.compile(r"\]\(([^)#\s]+)(#[^)\s]*)?\)").findall


def page(name: str) -> str:
    """The text of a page of docs/."""
    return (DOCS / name).read_text(encoding="utf-8")


def first_cells(text: str) -> list[str]:
    """What stands in backticks at the start of each table row."""
    return re.findall(r"^\| `([^`]+)` \|", text, re.MULTILINE)


def test_every_setting_is_documented() -> None:
    """docs/settings.md lists every setting by option and variable, in order, with its default."""
    names = Settings.__struct_fields__
    text = page("settings.md")
    assert first_cells(text) == [f"--{name.replace('_', '-')}" for name in names]
    defaults = Settings()
    for name in names:
        assert f"| `ROWKEEP_{name.upper()}` | `{getattr(defaults, name)}` |" in text


def test_a_setting_means_what_the_help_says() -> None:
    """src/rowkeep/settings.txt has a line for each setting, and docs/settings.md the text of it."""
    meanings, text = setting_meanings(), page("settings.md")
    assert list(meanings) == list(Settings.__struct_fields__)
    shown = re.findall(r"^\| `--([^`]+)` \| `[^`]*` \| `[^`]*` \| (.*) \|$", text, re.MULTILINE)
    assert shown == [(name.replace("_", "-"), meaning) for name, meaning in meanings.items()]


def test_every_error_is_documented() -> None:
    """docs/errors.md lists every error code with its HTTP status, and no other."""
    text = page("errors.md")
    assert sorted(first_cells(text)) == sorted(code.value for code in ErrorCode)
    for code in ErrorCode:
        assert f"| `{code.value}` | {STATUS_OF_CODE[code]} |" in text


def test_every_route_is_documented() -> None:
    """docs/api.md lists every method and path, and no other."""
    routes = [f"{method} {path}" for method, path in OPERATIONS]
    assert sorted(first_cells(page("api.md"))) == sorted(routes)


def test_every_metric_is_documented() -> None:
    """docs/operating.md lists every metric that /metrics shows, and no other."""
    health = Health(failure=None, queued_bytes=0, rows_inserted=0, batches=0, groups=0, commit_seconds=0.0)
    durability = Durability(DurabilityClass.DURABLE, 0.2, "ext4")
    live = LiveFigures(
        followers=0,
        followers_dropped=0,
        long_inserts=0,
        jobs_running=0,
        jobs_completed=0,
        jobs_failed=0,
        segments_set_aside=0,
    )
    handlers = OperationHandlers(lambda: health, MaintenanceHealth(), Traffic(), lambda: live, durability)
    answer: Answer = asyncio.run(handlers.metrics(cast(Any, None)))
    names = re.findall(r"^# TYPE (\w+) ", answer.body.decode(), re.MULTILINE)
    documented = [name for name in first_cells(page("operating.md")) if name.startswith("rowkeep_")]
    assert sorted(documented) == sorted(names)


def test_every_dependency_is_explained() -> None:
    """docs/dependencies.md has a line for each library that pyproject.toml asks for."""
    pyproject = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    asked = re.search(r"^dependencies = \[(.*?)^\]", pyproject, re.MULTILINE | re.DOTALL)
    assert asked is not None
    names = re.findall(r'"([A-Za-z0-9_-]+)', asked[1])
    assert names
    assert sorted(first_cells(page("dependencies.md"))) == sorted(names)


@pytest.mark.parametrize("file", PAGES, ids=lambda file: file.name)
def test_links_lead_somewhere(file: Path) -> None:
    """A link to another file of the project finds it."""
    targets = [target for target, _ in _links(file.read_text(encoding="utf-8")) if "://" not in target]
    assert not [target for target in targets if not (file.parent / target).exists()]


@pytest.mark.parametrize("file", PAGES, ids=lambda file: file.name)
def test_pages_name_no_machine(file: Path) -> None:
    """A page holds nothing of the machine that it was written on."""
    assert not re.search(r"/(work|root|home|tmp)/", file.read_text(encoding="utf-8"))
