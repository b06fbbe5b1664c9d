"""Links to rows of tables.

For an hour, anybody with the link reads the rows as they are then, without a token.

A link is worth what its token is worth (model/links.py): each fetch is a read as the one who made it. It is
for rows that fit a request; files of an export have links of their own (services/exports.py).
"""

import re
import time

import msgspec

from rowkeep.model.access import Caller
from rowkeep.model.errors import invalid_request
from rowkeep.model.exports import ExportFormat, export_options
from rowkeep.model.links import LINK_SECONDS, RowLink, checked, signed
from rowkeep.model.resources import ReadFormat
from rowkeep.services.exports import SharedFile
from rowkeep.services.read.read import ReadRequest, read_request, whole_stream
from rowkeep.storage.catalog.catalog import CatalogView
from rowkeep.storage.catalog.doors import Doors

# Spreadsheets cut addresses that are longer.
LINK_CHARACTERS_MAX = 1_800
_no_word = re.compile(r"\W+")


class RowLinkDraft(msgspec.Struct, frozen=True, rename="camel"):
    """The link to rows that a caller asks for."""

    format: str | None = None
    compression: str | None = None
    null_marker: str | None = None
    bom: bool | None = None
    selected_variables: tuple[str, ...] | None = None
    max_results: int | None = None


class RowLinkService:
    """Makes links, and finds the rows of a link."""

    def __init__(self, doors: Doors) -> None:
        self._doors = doors

    async def create(
        self, caller: Caller, table: str, upload_name: str | None, draft: RowLinkDraft
    ) -> SharedFile:
        """Returns a link to rows that the caller may read. Raises RowkeepError as reading them would."""
        if draft.max_results is not None and draft.max_results < 0:
            raise invalid_request("`maxResults` counts from 0.")
        link = RowLink(
            table=table,
            upload_name=upload_name,
            format=draft.format or ExportFormat.CSV,
            compression=draft.compression,
            null_marker=draft.null_marker,
            bom=bool(draft.bom),
            selected_variables=draft.selected_variables,
            rows_max=draft.max_results,
            token_hash=caller.token_hash,
            expires_at=time.time_ns() // 1_000_000 + LINK_SECONDS * 1_000,
        )

        def sign(view: CatalogView) -> SharedFile:
            whole_stream(view, caller, rows_of(link))
            text = signed(link, view.exports.link_secret())
            if len(text) > LINK_CHARACTERS_MAX:
                raise invalid_request("The link would be too long for some programs. Select fewer variables.")
            return SharedFile(text, file_name(link), link.expires_at)

        return await self._doors.read(sign)

    async def open(self, text: str) -> RowLink:
        """Returns the content of a link's text. Raises not_found_error for a bad or expired link."""
        now = time.time_ns() // 1_000_000
        return await self._doors.read(lambda view: checked(text, view.exports.link_secret(), now, RowLink))


def is_of_a_file(link: RowLink) -> bool:
    """Returns whether the rows are written as an export is, because of their format or its options."""
    has_options = link.bom or link.null_marker is not None or link.compression is not None
    return has_options or link.format not in {ReadFormat.CSV, ReadFormat.JSON_LINES, ReadFormat.ARROW}


def rows_of(link: RowLink) -> ReadRequest:
    """Returns the read request of a link. Raises invalid_request_error for an unknown format."""
    format_ = ReadFormat.ARROW.value if is_of_a_file(link) else link.format
    return read_request(link.table, link.upload_name, format_, link.selected_variables, link.rows_max)


def file_name(link: RowLink) -> str:
    """Returns the file name for the rows of a link. Raises invalid_request_error for unknown options."""
    options = export_options(
        link.format,
        compression=link.compression,
        null_marker=link.null_marker,
        bom=link.bom,
        part_bytes_max=None,
    )
    name = link.upload_name or link.table.rpartition(".")[2].partition(":")[0]
    return f"{_no_word.sub('_', name).strip('_').lower() or 'rows'}{options.suffix}"
