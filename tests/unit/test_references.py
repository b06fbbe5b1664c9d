"""References: how requests name things. Source: contract 3."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as some

from rowkeep.model.errors import ErrorCode, RowkeepError
from rowkeep.model.references import (
    ID_ALPHABET,
    DatasetReference,
    Identifier,
    TableReference,
    checked_name,
    name_key,
    new_identifier,
    parse_dataset_reference,
    parse_table_reference,
    parse_version_tag,
    upload_key,
    upload_segment,
)

NAMES = some.text(
    some.characters(exclude_characters=".:", exclude_categories=["Cs"]), min_size=1, max_size=20
)
REFERENCE_IDS = some.none() | some.text(ID_ALPHABET, min_size=4, max_size=4).filter(
    lambda text: text != "next"
)
VERSIONS = some.none() | some.sampled_from(["current", "next", "v1.0", "v12.34"])


def written(*parts: str | None) -> str:
    return ":".join(part for part in parts if part)


@given(NAMES, NAMES, NAMES, REFERENCE_IDS, REFERENCE_IDS, VERSIONS)
def test_a_reference_reads_back(
    owner: str, dataset: str, table: str, dataset_id: str | None, table_id: str | None, version: str | None
) -> None:
    """Owner, names, ids and version come out as they were put in."""
    text = f"{owner}.{written(dataset, dataset_id, version)}.{written(table, table_id)}"
    expected = DatasetReference(owner, Identifier(dataset, dataset_id, version), version)
    assert parse_table_reference(text) == TableReference(expected, Identifier(table, table_id))
    assert parse_dataset_reference(f"{owner}.{written(dataset, dataset_id, version)}") == expected


@pytest.mark.parametrize("order", list(itertools.permutations(["1q86", "v1.0", "sample"])))
def test_suffixes_stand_in_any_order(order: tuple[str, ...]) -> None:
    """Reference id, version and sample may follow a name in any order."""
    reference = parse_dataset_reference(f"demo.{written('my_ds', *order)}")
    assert reference.dataset == Identifier("my_ds", "1q86", "v1.0", is_sample=True)


@pytest.mark.parametrize(
    "text", ["o.d:v1_0.t", "o.d:v1.0.t", "o.d:V1.0.t", "o.d.t:v1.0", "o.d.t:v1_0", "o.d:v1.0.t:0576"]
)
def test_versions_with_a_dot_or_underscore_on_either_part(text: str) -> None:
    """A version's dot is not taken for the dot between parts, wherever the version stands."""
    assert parse_table_reference(text).dataset_reference.version_tag == "v1.0"


def test_javascript_puts_sample_on_the_table() -> None:
    """`owner.ds:current.table:sample` reads as its client means it."""
    reference = parse_table_reference("owner.ds:current.table:sample")
    assert reference.dataset_reference.version_tag == "current"
    assert reference.table == Identifier("table", is_sample=True)


@pytest.mark.parametrize(
    "text", ["", "a", "a.b", "a.b.c.d", "a.b.c:", "a.b:nope!.c", "a.b:12345.c", "a.b:v1.c", "a.b:1.0.c"]
)
def test_what_is_no_table_reference_is_not_found(text: str) -> None:
    """Anything else names nothing: 404."""
    with pytest.raises(RowkeepError) as refusal:
        parse_table_reference(text)
    assert refusal.value.code is ErrorCode.NOT_FOUND


@pytest.mark.parametrize(
    "name",
    [
        "CMS 2014 Medicare Data",
        "cms_2014_medicare_data",
        "CMS--2014 (Medicare) Data!",
        "_CMS_2014__medicare data",
    ],
)
def test_raw_and_escaped_names_match(name: str) -> None:
    """Runs of other characters are one underscore; those at the ends and the case do not count."""
    assert name_key(name) == "cms_2014_medicare_data"


@given(NAMES)
def test_a_key_is_its_own_key(name: str) -> None:
    """Escaping a name twice changes nothing more."""
    assert name_key(name_key(name)) == name_key(name)


def test_upload_names_match_by_what_clients_send() -> None:
    """Clients send `my up_load` for `my up.load`, and the segment that a uri holds is found again."""
    assert upload_key("my up.load") == upload_key("My up_load")
    assert upload_segment("my up.load") == "my%20up_load"
    assert upload_segment("a/b:c") == "a%2Fb%3Ac"


def test_new_identifiers() -> None:
    """Ids are `xxxx-yyyyyyyyy` in lower case, and their first part works in a reference."""
    identifiers = {new_identifier() for _ in range(200)}
    assert len(identifiers) == 200
    for identifier in identifiers:
        first, second = identifier.split("-")
        assert (len(first), len(second)) == (4, 9)
        assert parse_dataset_reference(f"o.d:{first}").dataset.name == "d"


@pytest.mark.parametrize("name", ["", "  ", "___", "!?", "a\nb", "a\x00", "x" * 129])
def test_names_that_nothing_may_have(name: str) -> None:
    """A name needs a letter or digit, no control character, and 128 characters at most."""
    with pytest.raises(RowkeepError) as refusal:
        checked_name("table", name)
    assert refusal.value.code is ErrorCode.INVALID_REQUEST
    assert "table" in refusal.value.message


def test_names_that_things_may_have() -> None:
    """Names keep their spelling, in any script."""
    for name in ("a", "日本", "My DS (2)", "x" * 128):
        assert checked_name("dataset", name) == name


WRITTEN = {
    "demo.my ds.a table": ("demo", "my_ds", None, None, "a_table", None),
    "Demo.MY_DS.A_TABLE": ("Demo", "my_ds", None, None, "a_table", None),
    "demo.my%20ds%3Anext.a%20table": ("demo", "my_ds", None, "next", "a_table", None),
    "demo.my_ds%3Av1.0.t": ("demo", "my_ds", None, "v1.0", "t", None),
    "demo%2Emy_ds%2Et": ("demo", "my_ds", None, None, "t", None),
    "demo.my_ds:1q86:v1_0.t:0576": ("demo", "my_ds", "1q86", "v1.0", "t", "0576"),
    "demo.my_ds:v1_0:1q86.t:0576": ("demo", "my_ds", "1q86", "v1.0", "t", "0576"),
    "demo.my_ds:1Q86.t:CURRENT:0576": ("demo", "my_ds", "1q86", "current", "t", "0576"),
    "demo.my_ds:v1.0.t:v2.0": ("demo", "my_ds", None, "v1.0", "t", None),
    "demo.a/b.c d%2Fe": ("demo", "a_b", None, None, "c_d_e", None),
    "demo.100%.50% off": ("demo", "100", None, None, "50_off", None),
    "demo.日本.données:v10_12": ("demo", "日本", None, "v10.12", "données", None),
    "demo.__a--b__.(t)": ("demo", "a_b", None, None, "t", None),
}


@pytest.mark.parametrize("text", WRITTEN)
def test_what_clients_write(text: str) -> None:
    """Raw and escaped names, once and twice encoded, in any case, with suffixes in any order."""
    reference = parse_table_reference(text)
    dataset, table = reference.dataset_reference.dataset, reference.table
    assert WRITTEN[text] == (
        reference.dataset_reference.owner_name,
        dataset.key,
        dataset.reference_id,
        reference.dataset_reference.version_tag,
        table.key,
        table.reference_id,
    )


@pytest.mark.parametrize(
    ("text", "tag"),
    [
        ("v1.0", "v1.0"),
        ("v1_0", "v1.0"),
        ("1.0", "v1.0"),
        ("12_34", "v12.34"),
        ("V2.1", "v2.1"),
        ("next", "next"),
        ("Current", "current"),
    ],
)
def test_version_tags(text: str, tag: str) -> None:
    """A tag as a path segment, with or without its v, with a dot or an underscore."""
    assert parse_version_tag(text) == tag


@pytest.mark.parametrize("text", ["", "v", "v1", "1", "1.0.0", "v1.0 ", "latest", "v1234567.0", "v١.0", "²"])
def test_what_is_no_version_tag(text: str) -> None:
    """Anything else names no version: 404."""
    with pytest.raises(RowkeepError) as refusal:
        parse_version_tag(text)
    assert refusal.value.code is ErrorCode.NOT_FOUND
