"""An upload's quarantine: rows that did not fit and were skipped."""

from collections.abc import AsyncIterator
from typing import Annotated

import msgspec

from rowkeep.api.http.endpoint import StreamAnswer
from rowkeep.api.http.parameters import PAGED, one_of
from rowkeep.api.http.request import ApiRequest, page_of, page_of_results
from rowkeep.api.http.routes import (
    API,
    ASKED_ERRORS,
    JSON_TYPES,
    LINES_TYPE,
    SEEN_ERRORS,
    TEXT_TYPES,
    Route,
    RouteTable,
)
from rowkeep.api.http.shapes import Count, ListShape, Shape, Time
from rowkeep.api.http.wire import Answer, json_answer, ok_answer
from rowkeep.api.resources.insert_rows import schema_updates
from rowkeep.api.resources.receipts import RowsVersion
from rowkeep.model.errors import invalid_request
from rowkeep.model.growth import SchemaChange
from rowkeep.model.line_breaks import with_escaped_breaks
from rowkeep.model.quarantine import QuarantinedRow, Reason
from rowkeep.model.resources import NEXT_TAG
from rowkeep.services.quarantine import QuarantineService, ReplayDraft

FORMATS = ["json", "jsonl"]
_Position = Annotated[Count, msgspec.Meta(description="Counts from 0 within its request.")]
_Key = Annotated[str, msgspec.Meta(description="That of its request.")]
_Content = Annotated[str, msgspec.Meta(description="The JSON text of the row, as it came.")]
_Dropped = Annotated[
    Count, msgspec.Meta(description="Rows that left for want of room since the quarantine was emptied.")
]


class QuarantinedRowResource(Shape, frozen=True, kw_only=True, tag_field="kind", tag="quarantinedRow"):
    """A row in a quarantine; `content` is its JSON text as it came, so that not a digit of it is lost."""

    id: Count
    row: _Position
    idempotency_key: _Key | None
    quarantined_at: Time
    reasons: tuple[Reason, ...]
    content: _Content


class QuarantineList(ListShape, frozen=True, kw_only=True, tag_field="kind", tag="quarantineList"):
    """A page of the rows in a quarantine."""

    results: list[QuarantinedRowResource]
    dropped_count: _Dropped


class QuarantineReplay(Shape, frozen=True, kw_only=True, tag_field="kind", tag="quarantineReplay"):
    """The result of trying the rows of a quarantine again."""

    rows_added: Count
    rows_remaining: Count
    schema_updates: list[SchemaChange]
    version: RowsVersion


class QuarantineHandlers:
    """Rows that did not fit."""

    def __init__(self, quarantine: QuarantineService) -> None:
        self._quarantine = quarantine

    def table(self) -> RouteTable:
        """Returns the routes."""
        quarantine = f"{API}/tables/{{table}}/uploads/{{upload}}/quarantine"
        listed = (*PAGED, one_of("format", FORMATS, FORMATS[0]))
        list_types = (*JSON_TYPES, LINES_TYPE)
        replay = f"{quarantine}/replay"
        return [
            Route("GET", quarantine, self.list, QuarantineList, ASKED_ERRORS, listed, media_types=list_types),
            Route("DELETE", quarantine, self.empty, errors=SEEN_ERRORS, media_types=TEXT_TYPES),
            Route("POST", replay, self.replay, QuarantineReplay, ASKED_ERRORS, body=ReplayDraft),
        ]

    async def list(self, request: ApiRequest) -> Answer | StreamAnswer:
        """Lists the rows in an upload's quarantine, oldest first."""
        page = page_of(request)
        format_ = request.text("format") or FORMATS[0]
        if format_ not in FORMATS:
            raise invalid_request(f"The format of a quarantine is json or jsonl, not {format_[:60]!r}.")
        if format_ == "jsonl":
            parts = await self._quarantine.rows(request.caller, _path(request), page.after_id)
            return StreamAnswer([(b"content-type", b"application/x-ndjson")], _lines(parts))
        found = await self._quarantine.page(request.caller, _path(request), page.after_id, page.count + 1)
        rows = found.rows
        last_id = rows[: page.count][-1].id if rows else None
        answer = page_of_results(
            QuarantineList,
            [_resource(row) for row in rows],
            page,
            last_id,
            dropped_count=found.dropped_count,
        )
        return json_answer(answer)

    async def empty(self, request: ApiRequest) -> Answer:
        """Throws the rows in an upload's quarantine away."""
        await self._quarantine.empty(request.caller, _path(request))
        return ok_answer()

    async def replay(self, request: ApiRequest) -> Answer:
        """Tries the rows in an upload's quarantine again."""
        draft = await request.json(ReplayDraft)
        report = await self._quarantine.replay(request.caller, _path(request), draft)
        return json_answer(
            QuarantineReplay(
                rows_added=report.row_count,
                rows_remaining=report.remaining_count,
                schema_updates=schema_updates(report.change),
                version=NEXT_TAG,
            )
        )


def _path(request: ApiRequest) -> tuple[str, str]:
    return request.segment("table"), request.segment("upload")


async def _lines(parts: AsyncIterator[list[QuarantinedRow]]) -> AsyncIterator[bytes]:
    async for rows in parts:
        yield with_escaped_breaks(msgspec.json.Encoder().encode_lines([_resource(row) for row in rows]))


def _resource(row: QuarantinedRow) -> QuarantinedRowResource:
    return QuarantinedRowResource(
        id=row.id,
        row=row.position,
        idempotency_key=row.key,
        quarantined_at=row.quarantined_at,
        reasons=row.reasons,
        content=row.content.decode("utf-8", "replace"),
    )
