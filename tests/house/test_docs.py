"""What a user can set, meet or call is documented, and what is documented exists."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]  # the library has no types

from rowkeep.api.http.wire import STATUS_OF_CODE
from rowkeep.commands.serve import setting_meanings
from rowkeep.config import Settings
from rowkeep.model.errors import ErrorCode
from tests import plain_http
from tests.house.sources import ROOT
from tests.routes import OPERATIONS
from tests.server_process import ServerProcess

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


def exported_metrics(server: ServerProcess) -> list[str]:
    """The names of the metrics that a server shows, as their types are told."""
    text = plain_http.get(f"{server.url.removesuffix('/api/v1')}/metrics").text
    return re.findall(r"^# TYPE (\w+) ", text, re.MULTILINE)


def test_every_metric_is_documented(server: ServerProcess) -> None:
    """docs/operating.md lists every metric that /metrics shows, and no other."""
    cells = first_cells(page("operating.md"))
    documented = [name for name in cells if name.startswith(("rowkeep_", "process_"))]
    assert sorted(documented) == sorted(exported_metrics(server))


@pytest.mark.parametrize("name", ["prometheus/rowkeep.yml", "grafana/rowkeep.json"])
def test_alerts_and_dashboard_name_what_there_is(server: ServerProcess, name: str) -> None:
    """Each metric in the alert rules and in the dashboard is one that /metrics shows; most are used."""
    text = (ROOT / "deploy" / name).read_text(encoding="utf-8")
    parsed = yaml.safe_load(text)  # JSON is YAML
    used = set(re.findall(r"\b((?:rowkeep|process)_[a-z_]+)\b", "\n".join(expressions_of(parsed))))
    exported = set(exported_metrics(server))
    parts = {f"{metric}_{part}" for metric in exported for part in ("bucket", "sum", "count")}
    assert used
    assert used <= exported | parts


def expressions_of(value: Any) -> list[str]:
    """Every expression of rules or panels, wherever it stands."""
    if isinstance(value, dict):
        own = [value["expr"]] if isinstance(value.get("expr"), str) else []
        return own + [found for inner in value.values() for found in expressions_of(inner)]
    if isinstance(value, list):
        return [found for inner in value for found in expressions_of(inner)]
    return []


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


def test_pictures_are_small() -> None:
    """A page with a picture opens over a slow line too: none has 200 KB (scripts/picture makes them)."""
    pictures = list((ROOT / "docs" / "images").iterdir())
    assert pictures
    assert all(picture.stat().st_size < 200_000 for picture in pictures)


@pytest.mark.parametrize("file", PAGES, ids=lambda file: file.name)
def test_pages_name_no_machine(file: Path) -> None:
    """A page holds nothing of the machine that it was written on."""
    assert not re.search(r"/(work|root|home|tmp)/", file.read_text(encoding="utf-8"))


def test_every_bound_stands_in_the_threat_model() -> None:
    """docs/security.md names each setting that bounds something, and no setting that there is not."""
    text = page("security.md")
    named = set(re.findall(r"`--([a-z-]+)`", text))
    settings = {name.replace("_", "-") for name in Settings.__struct_fields__}
    bounds = {name for name in settings if name.endswith(("-max", "-min", "-hours", "-days"))}
    assert bounds - named == set()
    assert named - settings == set()
