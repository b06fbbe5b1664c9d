"""The endpoints of an upload's quarantine: rows that did not fit and were skipped."""

from collections.abc import AsyncIterator
from typing import Any

import msgspec

from rowkeep.api.http.endpoint import StreamAnswer
from rowkeep.api.http.request import ApiRequest, page_answer, page_of
from rowkeep.api.http.routes import API, RouteTable
from rowkeep.api.http.wire import Answer, json_answer, ok_answer
from rowkeep.api.resources.insert_rows import schema_updates
from rowkeep.model.errors import invalid_request
from rowkeep.model.quarantine import QuarantinedRow
from rowkeep.services.quarantine import QuarantineService, ReplayDraft

FORMATS = ("json", "jsonl")


class QuarantineHandlers:
    """Rows that did not fit."""

    def __init__(self, quarantine: QuarantineService) -> None:
        self._quarantine = quarantine

    def table(self) -> RouteTable:
        """The routes."""
        quarantine = f"{API}/tables/{{table}}/uploads/{{upload}}/quarantine"
        return [
            ("GET", quarantine, self.list),
            ("DELETE", quarantine, self.empty),
            ("POST", f"{quarantine}/replay", self.replay),
        ]

    async def list(self, request: ApiRequest) -> Answer | StreamAnswer:
        """Lists the rows in an upload's quarantine, oldest first."""
        page = page_of(request)
        format_ = request.text("format") or FORMATS[0]
        if format_ not in FORMATS:
            raise invalid_request(f"The format of a quarantine is json or jsonl, not {format_[:60]!r}.")
        if format_ == "jsonl":
            parts = await self._quarantine.rows(request.token_hash, _path(request), page.after_id)
            return StreamAnswer([(b"content-type", b"application/x-ndjson")], _lines(parts))
        found = await self._quarantine.page(request.token_hash, _path(request), page.after_id, page.count + 1)
        rows = found.rows
        last_id = rows[: page.count][-1].id if rows else None
        answer = page_answer("quarantineList", [_resource(row) for row in rows], page, last_id)
        return json_answer({**answer, "droppedCount": found.dropped_count})

    async def empty(self, request: ApiRequest) -> Answer:
        """Throws the rows in an upload's quarantine away."""
        await self._quarantine.empty(request.token_hash, _path(request))
        return ok_answer()

    async def replay(self, request: ApiRequest) -> Answer:
        """Tries the rows in an upload's quarantine again."""
        draft = await request.json(ReplayDraft)
        report = await self._quarantine.replay(request.token_hash, _path(request), draft)
        return json_answer(
            {
                "kind": "quarantineReplay",
                "rowsAdded": report.row_count,
                "rowsRemaining": report.remaining_count,
                "schemaUpdates": schema_updates(report.change),
            }
        )


def _path(request: ApiRequest) -> tuple[str, str]:
    return request.segment("table"), request.segment("upload")


async def _lines(parts: AsyncIterator[list[QuarantinedRow]]) -> AsyncIterator[bytes]:
    async for rows in parts:
        yield msgspec.json.Encoder().encode_lines([_resource(row) for row in rows])


def _resource(row: QuarantinedRow) -> dict[str, Any]:
    """A quarantined row; `content` is its JSON text, whatever it is, so that not a digit of it is lost."""
    return {
        "kind": "quarantinedRow",
        "id": row.id,
        "row": row.position,
        "idempotencyKey": row.key,
        "quarantinedAt": row.quarantined_at,
        "reasons": row.reasons,
        "content": row.content.decode("utf-8", "replace"),
    }
