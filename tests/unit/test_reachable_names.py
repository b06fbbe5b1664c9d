"""Whatever may be named is found again, by every form of reference that clients send. Source: contract 3."""

import asyncio
import itertools
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, unquote

import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as some

from rowkeep.api.resources.datasets import dataset_base
from rowkeep.api.resources.places import table_uri, upload_uri
from rowkeep.model.errors import RowkeepError
from rowkeep.model.references import checked_name, name_key, reference_id
from rowkeep.model.resources import OwnerKind
from rowkeep.services.datasets import DatasetChanges, DatasetDraft, DatasetService
from rowkeep.services.tables import TableChanges, TableDraft, TableService
from rowkeep.services.uploads import UploadDraft
from rowkeep.services.versions import ReleaseDraft, VersionService
from tests.unit.read_world import World

# A dot, a colon and a percent sign before two hex digits mean something in a reference: such names go by
# their escaped form.
CHARACTERS = some.characters(exclude_categories=["Cs", "Cc"]) | some.sampled_from("aZ09_ -/%&?#+éßŁ日ΐ")
NAMES = some.text(CHARACTERS, min_size=1, max_size=20)
_has_escape = re.compile(r"%[0-9A-Fa-f]{2}").search


def is_legal(name: str) -> bool:
    try:
        checked_name("thing", name)
    except RowkeepError:
        return False
    return True


LEGAL = NAMES.filter(is_legal)


def cases(name: str) -> set[str]:
    """The same name in other cases, where a case has its way back."""
    return {other for other in (name.upper(), name.lower(), name.swapcase()) if same_case(name, other)}


def same_case(name: str, other: str) -> bool:
    return name.casefold() == other.casefold()


def forms(name: str) -> set[str]:
    """How a reference may spell a name, once the path is decoded."""
    plain = {name_key(name), *cases(name_key(name)), quote(name_key(name), safe="")}
    if set(name) & set(".:") or _has_escape(name):
        return plain
    return plain | {name, *cases(name), quote(name, safe="")}


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    """A database that all examples share; each deletes what it made."""
    with tempfile.TemporaryDirectory() as folder, asyncio.Runner() as runner:
        made = World(Path(folder), runner)
        yield made
        made.close()


@settings(deadline=None, max_examples=60, suppress_health_check=list(HealthCheck))
@given(dataset=LEGAL, table=LEGAL, upload=LEGAL, other=LEGAL)
@example(dataset="ΐ", table="50%25", upload="a.b.csv", other="b")
@example(dataset="My.Data: set", table="ß", upload="a%2Fb", other="STRASSE")
@example(dataset="cafe\u0301", table="\ufb01le", upload="日本", other="ı")
def test_every_name_is_reachable(world: World, dataset: str, table: str, upload: str, other: str) -> None:
    """By the raw and the escaped name, encoded or not, in any case; by its id after a rename."""
    assume(name_key(dataset) != "survey")
    assume(name_key(other) not in (name_key(dataset), name_key(table), "survey"))
    datasets, tables = DatasetService(world.doors), TableService(world.doors)
    made = world.run(datasets.create(world.owner, OwnerKind.USER, "ada", DatasetDraft(dataset)))
    identifier = made.place.dataset.identifier
    try:
        for form in forms(dataset):
            found = world.run(datasets.find(world.owner, f"ADA.{form}"))
            assert found.place.dataset.identifier == identifier
        assert found.place.dataset.name == dataset
        uri = unquote(dataset_base(made.place).uri).removeprefix("/datasets/")
        made_table = world.run(tables.create(world.owner, uri, TableDraft(table)))
        for form in forms(table):
            found_table = world.run(tables.find(world.owner, f"{uri}.{form}"))
            assert found_table.table == made_table.table
        table_reference = unquote(table_uri(made_table)).removeprefix("/tables/")
        check_upload(world, table_reference, upload)
        check_ids(world, made.place.dataset.identifier, made_table.table.identifier, other)
    finally:
        world.run(datasets.delete(world.owner, f"ada.x:{reference_id(identifier)}"))


def check_upload(world: World, table: str, name: str) -> None:
    """An upload is found by its exact name, with `_` for a dot, and by its uri's last segment."""
    made = world.run(world.uploads.create(world.owner, table, UploadDraft(name=name, type="stream")))
    assert made.upload.name == name
    segment = unquote(upload_uri(made).rpartition("/")[2])
    for form in {name, name.replace(".", "_"), segment, quote(name, safe=""), *cases(name)}:
        found = world.run(world.uploads.find(world.owner, table, form))
        assert found.upload == made.upload


def check_ids(world: World, dataset_id: str, table_id: str, name: str) -> None:
    """After a rename the ids go on naming both, with suffixes in any order on either part."""
    datasets, tables = DatasetService(world.doors), TableService(world.doors)
    first, second = reference_id(dataset_id), reference_id(table_id)
    world.run(datasets.update(world.owner, f"ada.old:{first}", DatasetChanges(name=name)))
    world.run(tables.update(world.owner, f"ada.old:{first}.older:{second}", TableChanges(name=name)))
    key = name_key(name)
    for order in itertools.permutations([first, "next"]):
        written = ":".join(["whatever", *order])
        assert world.run(datasets.find(world.owner, f"ada.{written}")).place.dataset.name == name
    for reference in (
        f"ada.{key}.{key}",
        f"ada.{key}:next.{key}",
        f"ada.{key}.{key}:next",
        f"ada.{key}.gone:next:{second}",
        f"ada.gone:{first}.gone:{second}:NEXT",
        quote(f"ada.gone:{first.upper()}:next.{key}:{second}", safe=""),
    ):
        assert world.run(tables.find(world.owner, reference)).table.identifier == table_id


@pytest.mark.parametrize("tag", ["v1.0", "v1_0", "V1.0", "current", "Current"])
def test_versions_on_either_part(world: World, tag: str) -> None:
    """A version stands on the dataset or on the table, before or after an id."""
    datasets, tables = DatasetService(world.doors), TableService(world.doors)
    made = world.run(datasets.create(world.owner, OwnerKind.USER, "ada", DatasetDraft("released")))
    table = world.run(tables.create(world.owner, "ada.released", TableDraft("t")))
    world.run(VersionService(world.doors).release(world.owner, "ada.released", "next", ReleaseDraft()))
    first, second = reference_id(made.place.dataset.identifier), reference_id(table.table.identifier)
    for reference in (
        f"ada.released:{tag}.t",
        f"ada.released.t:{tag}",
        f"ada.released:{first}:{tag}.t:{second}",
        f"ada.released:{tag}:{first}.t",
        f"ada.released:{first}.t:{tag}:{second}",
        quote(f"ada.released:{tag}.t", safe=""),
    ):
        found = world.run(tables.find(world.owner, reference))
        assert (found.table.identifier, found.place.version.tag) == (table.table.identifier, "v1.0")
    world.run(datasets.delete(world.owner, "ada.released"))


@given(NAMES)
@example("ΐ")
@example("cafe\u0301")
@example("İI")
def test_keys(name: str) -> None:
    """A key is its own key, in any case, however the name was composed."""
    key = name_key(name)
    assert name_key(key) == key
    assert all(name_key(other) == key for other in cases(name))


def test_composed_and_decomposed_names_are_the_same() -> None:
    """One system writes é as one character, another as two; a name is the same."""
    assert name_key("cafe\u0301 1") == name_key("caf\u00e9 1") == "caf\u00e9_1"
