"""The options in the query of an insertRows request. They have the names of those in its body."""

from urllib.parse import parse_qs

from msgspec import UNSET, UnsetType

from rowkeep.api.http.headers import CACHE_BYTES_MAX
from rowkeep.api.http.parameters import single_value
from rowkeep.api.http.warnings import ignored_parameters
from rowkeep.model.bounded_cache import remembered
from rowkeep.model.decoding.strict import OFFSET_TOKEN_CHARACTERS_MAX
from rowkeep.model.errors import invalid_request
from rowkeep.model.inserts import NO_OPTIONS, InsertOptions, offset_move

INSERT_OPTIONS = ("updateSchema", "updateVariables", "validateOnly", "skipInvalidRows")
OFFSET_OPTIONS = ("offsetToken", "expectedOffsetToken")
ACKS_OPTION = "acks"
SEQUENCE_OPTION = "sequence"

_FLAGS = {"true": True, "false": False}


@remembered(CACHE_BYTES_MAX)  # the same few come with every request
def insert_options(query_string: bytes) -> InsertOptions:
    """Returns the options in a query. Other parameters are ignored. Raises invalid_request_error."""
    query = parse_qs(query_string.decode("latin-1"), keep_blank_values=True)
    update_schema, update_variables, validate_only, skip = (flag(query, name) for name in INSERT_OPTIONS)
    token, expected = (_token(query, name) for name in OFFSET_OPTIONS)
    options = InsertOptions(
        update_variables if update_schema is None else update_schema,
        validate_only,
        skip,
        offset_move(None if token is UNSET else token, expected),
    )
    return NO_OPTIONS if options == NO_OPTIONS else options


def insert_warnings(query_string: bytes, *, is_long: bool = False) -> tuple[str, ...]:
    """Returns the warnings about query parameters that an insert ignores."""
    more = (SEQUENCE_OPTION,) if is_long else OFFSET_OPTIONS
    taken = (*INSERT_OPTIONS, ACKS_OPTION, *more)
    query = parse_qs(query_string.decode("latin-1"), keep_blank_values=True)
    unread = [name for name in query if name not in taken]
    return (ignored_parameters(unread, taken),) if unread else ()


def flag(query: dict[str, list[str]], name: str) -> bool | None:
    """Returns an option of a query, or None without it. Raises invalid_request_error."""
    said = single_value(query, name)
    if said is None:
        return None
    value = _FLAGS.get(said)
    if value is None:
        raise invalid_request(f"The query parameter {name} must be true or false, not {said[:60]!r}.")
    return value


def _token(query: dict[str, list[str]], name: str) -> str | UnsetType | None:
    """Returns a token. One without a value means null, as in JSON; one that is absent is UNSET."""
    said = single_value(query, name)
    if said is None:
        return UNSET
    if len(said) > OFFSET_TOKEN_CHARACTERS_MAX:
        raise invalid_request(
            f"The query parameter {name} takes at most {OFFSET_TOKEN_CHARACTERS_MAX} characters."
        )
    return said or None
