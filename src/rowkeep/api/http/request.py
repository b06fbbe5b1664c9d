"""A request as handlers see it: decoded path segments, query, JSON body and caller."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from decimal import Decimal
from typing import Any, TypeVar
from urllib.parse import parse_qs, unquote

import msgspec

from rowkeep.api.http.asgi import Receive, Scope
from rowkeep.api.http.body import BodyReader
from rowkeep.api.http.headers import caller_of, check_json, content_coding
from rowkeep.api.http.misfits import misfit_in_words
from rowkeep.api.http.parameters import single_value
from rowkeep.api.http.shapes import ListShape
from rowkeep.api.http.warnings import ignored_parameters, ignored_properties
from rowkeep.api.http.wire import Answer, json_answer
from rowkeep.model.access import Caller
from rowkeep.model.audit import Origin
from rowkeep.model.decoding.envelope import doubled, first_doubled
from rowkeep.model.decoding.row_lines import BYTE_ORDER_MARK
from rowkeep.model.errors import ErrorCode, RowkeepError, invalid_request
from rowkeep.model.inflating import InflatedTooMuch, inflated, inflated_too_large
from rowkeep.storage.engines import Spool

Body = TypeVar("Body")
Item = TypeVar("Item")
List = TypeVar("List", bound=ListShape)

# Room for the longest texts there are, a million characters (services/datasets.py, model/schema.py).
CheckToken = Callable[[Caller], Awaitable[object]]

# Marks a request in its scope.
BY_OPERATORS_ADDRESS = "rowkeep.operator"
JSON_BYTES_MAX = 4 * 1024 * 1024
PAGE_ITEMS_DEFAULT = 100
PAGE_ITEMS_MAX = 1000

# As many digits as fit the database's integers with room to count on.
COUNT_DIGITS_MAX = 18
_natural = re.compile(rf"[0-9]{{1,{COUNT_DIGITS_MAX}}}").fullmatch
# Clients send 10.0 and 1e6 too; a + becomes a space in a query.
_number = re.compile(r"[0-9]{1,18}(?:\.[0-9]{1,18})?(?:[eE][+ ]?[0-9]{1,2})?").fullmatch


class ApiRequest:
    """One request on its way to a handler."""

    def __init__(self, scope: Scope, receive: Receive, bodies: BodyReader, check_token: CheckToken) -> None:
        self._scope = scope
        self._receive = receive
        self._bodies = bodies
        self._check_token = check_token
        self.headers: dict[bytes, bytes] = dict(scope["headers"])
        self.warnings: list[str] = []
        self._query = parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        self._asked: set[str] = set()

    def values(self, name: str) -> list[str] | None:
        """Returns all values of a query parameter, or None when it is absent."""
        self._asked.add(name)
        return self._query.get(name)

    def parameters(self, names: Iterable[str]) -> dict[str, list[str]]:
        """Returns all values of the given query parameters, without those that are absent."""
        found = {name: self.values(name) for name in names}
        return {name: values for name, values in found.items() if values is not None}

    def all_warnings(self) -> list[str]:
        """Returns all warnings for a request that succeeded, also those about ignored query parameters."""
        unread = [name for name in self._query if name not in self._asked]
        return [*self.warnings, *([ignored_parameters(unread, self._asked)] if unread else [])]

    @property
    def caller(self) -> Caller:
        """Returns the caller. Raises invalid_token for credentials of an unknown kind."""
        return caller_of(self.headers.get(b"authorization"))

    @property
    def origin(self) -> Origin:
        """Returns where the request comes from.

        It raises no error for bad credentials; they are refused where the caller is asked for.
        """
        client: tuple[str, int] | None = self._scope.get("client")
        request_id: bytes = self._scope["request_id"]
        with suppress(RowkeepError):
            return Origin(self.caller.token_hash, client[0] if client else None, request_id.decode())
        return Origin(None, client[0] if client else None, request_id.decode())

    @property
    def is_operator(self) -> bool:
        """Returns whether the request came by the separate address for operators."""
        return bool(self._scope.get(BY_OPERATORS_ADDRESS))

    @property
    def is_head(self) -> bool:
        """Returns whether only the status and the headers are asked for."""
        return bool(self._scope["method"] == "HEAD")

    def segment(self, name: str) -> str:
        """Returns a path parameter, decoded.

        The path is split before it is decoded, so %2F stays in a name.
        """
        text: str = self._scope["path_params"][name]
        return unquote(text)

    def text(self, name: str) -> str | None:
        """A query parameter; None when it is absent or empty. Raises invalid_request_error for two values."""
        self._asked.add(name)
        return single_value(self._query, name) or None

    def natural(self, name: str) -> int | None:
        """Returns a query parameter that counts something, from 0. Raises invalid_request_error."""
        self._asked.add(name)
        text = single_value(self._query, name)
        if text is None:
            return None
        number = whole_number(text)
        if number is None:
            raise invalid_request(f"The query parameter {name} must be a whole number, not {text[:60]!r}.")
        return number

    def truth(self, name: str) -> bool:
        """Returns a true or false query parameter; false when it is absent. Raises invalid_request_error."""
        text = self.text(name) or "false"
        if text not in ("true", "false"):
            raise invalid_request(f"The query parameter {name} must be true or false, not {text[:60]!r}.")
        return text == "true"

    def names(self, name: str) -> list[str] | None:
        """Returns a query parameter that lists names, separated by commas or given once each.

        None when absent.

        The JavaScript client repeats the parameter. A parameter that is there but empty lists no name.
        """
        values = self.values(name)
        if values is None:
            return None
        text = ",".join(values)
        return [part.strip() for part in text.split(",")] if text else []

    async def json(self, type_: type[Body]) -> Body:
        """Returns the body as a struct. It is read only for callers with a good token, or without any.

        Raises invalid_request_error that names the part that does not fit, and invalid_token.
        """
        await self._check_token(self.caller)
        check_json(self.headers.get(b"content-type"))
        body = await self._body()
        made = read_json(body, type_)
        self._note_ignored(body, type_)
        return made

    def _note_ignored(self, body: bytes, type_: type) -> None:
        """Warns of ignored properties of a body. Null is passed over, since clients send it for nothing."""
        taken = [field.encode_name for field in msgspec.structs.fields(type_)]
        plain = body.removeprefix(BYTE_ORDER_MARK) or b"{}"
        sent = msgspec.json.decode(plain, type=dict[str, msgspec.Raw])
        ignored = [name for name, raw in sent.items() if _camel(name) not in taken and bytes(raw) != b"null"]
        if ignored:
            is_idle = self._scope["method"] == "PATCH" and len(ignored) == len(sent)
            self.warnings.append(ignored_properties(ignored, taken, is_idle=is_idle))

    async def parts(self) -> AsyncIterator[bytes]:
        """Yields the parts of the body as they come, however many. Only for callers whose token is good.

        Raises invalid_token, request_timeout and BodyBroken.
        """
        await self._check_token(self.caller)
        async for part in self._bodies.parts(self._receive):
            yield part

    @property
    def base_url(self) -> str:
        """Returns where the caller found the server: the scheme and the `Host` header."""
        scheme: str = self._scope.get("scheme", "http")
        return f"{scheme}://{self.headers.get(b'host', b'localhost').decode('latin-1')}"

    async def _body(self) -> bytes:
        coding = content_coding(self._scope["headers"])
        length = self.headers.get(b"content-length")
        body = await self._bodies.read(self._receive, length, _no_spool, JSON_BYTES_MAX, coding)
        if not isinstance(body, bytes):
            raise TypeError("a JSON request was spooled")
        if coding is None:
            return body
        try:
            return await asyncio.to_thread(inflated, body, coding, bytes_max=JSON_BYTES_MAX)
        except InflatedTooMuch as error:
            raise inflated_too_large(JSON_BYTES_MAX) from error


def read_json(body: bytes, type_: type[Body]) -> Body:
    """Returns JSON as a struct. Raises invalid_request_error that names the part that does not fit."""
    try:
        plain = body.removeprefix(BYTE_ORDER_MARK) or b"{}"
        said = msgspec.json.decode(plain)
        json.loads(plain, object_pairs_hook=_check_keys)
        return msgspec.convert(_camel_keys(said), type=type_, strict=True)
    except RecursionError as error:
        raise invalid_request("The body is nested too deeply to be read.") from error
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise invalid_request(f"The body does not fit: {misfit_in_words(str(error))}") from error


def _check_keys(members: Sequence[tuple[str, object]]) -> None:
    """Raises invalid_request_error for an object with a repeated key, since one value would be lost."""
    if len(members) > 1:
        key = first_doubled([key for key, _ in members])
        if key is not None:
            raise doubled(key)


def whole_number(text: str) -> int | None:
    """Returns a count as clients write it: 10, 10.0 or 1e1. None for anything else, or a too large one."""
    if not _number(text):
        return None
    number = Decimal(text.replace(" ", "+"))
    return int(number) if number == number.to_integral_value() and number < 10**COUNT_DIGITS_MAX else None


def _no_spool() -> Spool:
    raise RowkeepError(
        ErrorCode.PAYLOAD_TOO_LARGE,
        f"The body is larger than {JSON_BYTES_MAX} bytes, more than this request takes. Nothing was done.",
    )


def _camel_keys(body: Any) -> Any:
    """Returns the body with its own keys in camel case:

    the R client sends `release_notes` for `releaseNotes`.

    Keys in the objects of a list are changed too (`variables`, `schema`). Those in other objects are not,
    since they are names that callers gave.
    """
    if not isinstance(body, dict):
        return body
    inner = {
        key: [_camel_keys(item) for item in value] if isinstance(value, list) else value
        for key, value in body.items()
    }
    renamed = {_camel(key): value for key, value in inner.items() if "_" in key}
    twin = next((key for key in renamed if key in inner), None)
    if twin is not None:
        raise doubled(twin)
    return {**renamed, **inner}


def _camel(key: str) -> str:
    first, *rest = key.split("_")
    return first + "".join(part.capitalize() for part in rest)


class Page(msgspec.Struct, frozen=True):
    """The part of a list that is asked for: `count` items after the one with id `after_id`."""

    after_id: int
    count: int


def page_of(request: ApiRequest, count_max: int = PAGE_ITEMS_MAX) -> Page:
    """Returns the page that `maxResults` and `pageToken` ask for. Source: contract 1.5, 7.17, 7.18."""
    count = request.natural("maxResults")
    if count == 0:
        raise invalid_request("A page has at least one item: the query parameter maxResults must not be 0.")
    token = request.text("pageToken")
    if token is not None and not _natural(token):
        raise invalid_request(f"{token[:60]!r} is not a page token that this server gave out.")
    return Page(
        after_id=int(token or 0), count=min(PAGE_ITEMS_DEFAULT if count is None else count, count_max)
    )


def page_of_results(
    shape: type[List], results: list[Any], page: Page, last_id: int | None, **more: object
) -> List:
    """Returns a page. One result more than asked for means that there is a next page; it is cut off.

    `last_id` is the id of the last item that stays. `more` are fields of the list beside its results.
    """
    has_next = len(results) > page.count
    token = str(last_id) if has_next and last_id is not None else None
    fields: dict[str, Any] = {"results": results[: page.count], "next_page_token": token, **more}
    return shape(**fields)


def listed(
    shape: type[List],
    items: Sequence[Item],
    page: Page,
    resource: Callable[[Item], Any],
    id_of: Callable[[Item], int],
) -> Answer:
    """Returns the answer with a page of items.

    `items` has one more than asked for if there is a next page.
    """
    kept = items[: page.count]
    last_id = id_of(kept[-1]) if kept else page.after_id
    return json_answer(page_of_results(shape, [resource(item) for item in items], page, last_id))
