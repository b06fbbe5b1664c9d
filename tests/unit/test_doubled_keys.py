"""A key that stands twice beside the rows of a body: refused on every road, whatever the rows hold."""

from json import dumps

import pytest
from hypothesis import given
from hypothesis import strategies as some

from rowkeep.model.decoding.envelope import ENVELOPE_BYTES_MAX, doubled_key
from rowkeep.model.decoding.lenient import decode_leniently
from rowkeep.model.decoding.strict import StrictRefusal, row_decoder
from rowkeep.model.errors import ErrorCode, RowkeepError
from rowkeep.model.types import VariableType
from tests.unit.bodies import one

SCHEMA = one(VariableType.STRING)
LISTS = ["[]", '[{"v":"a"}]', '[{"v":"]"}]', '[{"v":"],\\"rows\\":["},{"v":"[{"}]', '[ {"v":null} ]\n']
DOUBLED = [
    ('{"rows":%s,"rows":%s}', "rows"),
    ('{"rows": %s , "rows" : %s}', "rows"),
    ('{"rows":%s,"r\\u006fws":%s}', "rows"),
    ('{"rows":%s,"validateOnly":true,"rows":%s}', "rows"),
    ('{"validateOnly":true,"rows":%s,"validateOnly":false}', "validateOnly"),
    ('{"validateOnly":true,"validateOnly":false,"rows":%s}', "validateOnly"),
    ('{"rows":%s,"skipInvalidRows":true,"skipInvalidRows":null}', "skipInvalidRows"),
    ('{"offsetToken":"a[","rows":%s,"offsetToken":"b]"}', "offsetToken"),
    ('{"offsetToken":"a[","rows":%s,"rows":%s,"expectedOffsetToken":"] b"}', "rows"),
    ('{"expectedOffsetToken":null,"rows":%s,"expectedOffsetToken":"a"}', "expectedOffsetToken"),
    ('{"note":1,"rows":%s,"note":2}', "note"),
]
SINGLE = [
    '{"rows":%s}',
    '{"rows": %s}\n',
    '{"offsetToken":"a[","rows":%s,"expectedOffsetToken":"] b"}',
    '{"validateOnly":true,"rows":%s,"offsetToken":"],\\"rows\\":["}',
    '{"note":[1,[2]],"rows":%s}',
    '{"offsetToken":"x",' + " " * ENVELOPE_BYTES_MAX + '"rows":%s}',
]


def texts(templates: list[str]) -> list[str]:
    """Each template with each list of rows."""
    return [template.replace("%s", rows) for template in templates for rows in LISTS]


@pytest.mark.parametrize(("template", "key"), DOUBLED)
def test_a_doubled_key_is_named(template: str, key: str) -> None:
    """On the strict and on the lenient road, with a value that is no JSON too, in memory or mapped."""
    for rows in LISTS:
        body = template.replace("%s", rows).encode()
        assert doubled_key(body) == doubled_key(memoryview(body)) == key
        with pytest.raises(StrictRefusal):
            row_decoder(SCHEMA).accept(body)
        for sent in (body, b"\xef\xbb\xbf" + body, body.replace(b'"v":null', b'"v":NaN')):
            with pytest.raises(RowkeepError, match=f"the key `{key}` twice") as refusal:
                decode_leniently(sent, SCHEMA, updates_by_default=False)
            assert refusal.value.code is ErrorCode.INVALID_REQUEST


@pytest.mark.parametrize("text", texts(SINGLE))
def test_texts_that_look_like_keys_are_none(text: str) -> None:
    """Brackets, quotes and keys within values are values."""
    body = text.encode()
    assert doubled_key(body) is None
    assert doubled_key(memoryview(body)) is None
    decode_leniently(body, SCHEMA, updates_by_default=False)


@given(
    some.lists(
        some.lists(some.text(some.sampled_from('[],{}":\\ arows'), max_size=9), max_size=3), max_size=2
    ),
    some.lists(some.sampled_from(["offsetToken", "expectedOffsetToken", "validateOnly"]), max_size=3),
    some.integers(0, 3),
)
def test_whatever_the_texts_hold(lists: list[list[str]], flags: list[str], place: int) -> None:
    """What is told is what reading the whole body tells."""
    members = [f'"{name}":{dumps("[]" if place % 2 else "],")}' for name in flags]
    members[place:place] = [f'"rows":{dumps([{"v": text} for text in texts])}' for texts in lists]
    keys = [member.partition(":")[0].strip('"') for member in members]
    found = doubled_key(f"{{{','.join(members)}}}".encode())
    assert (found is None) == (len(set(keys)) == len(keys))
    assert found is None or keys.count(found) > 1
