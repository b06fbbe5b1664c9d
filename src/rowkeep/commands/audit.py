"""`rowkeep audit`: the audit log of a data directory."""

from pathlib import Path

import click

from rowkeep.commands.data_directory import data_dir_option, read
from rowkeep.commands.output import Row, format_option, moment, write_rows
from rowkeep.model.audit import AuditEntry
from rowkeep.model.errors import not_found
from rowkeep.services.grants import named_dataset
from rowkeep.storage.catalog.audit import LAST_ID
from rowkeep.storage.catalog.catalog import CatalogView

COLUMNS = ("done", "action", "subject", "details", "user", "token", "address", "request")
ENTRIES_DEFAULT = 100


@click.command("audit")
@click.argument("reference", metavar="[OWNER[.DATASET]]", required=False)
@click.option(
    "--count", type=click.IntRange(1), default=ENTRIES_DEFAULT, show_default=True, help="How many entries."
)
@format_option
@data_dir_option
def audit_command(reference: str | None, count: int, form: str, data_dir: Path) -> None:
    """List who did what, newest first: everywhere, or to what belongs to an owner or to a dataset."""
    entries = read(data_dir, lambda view: _entries(view, reference, count))
    write_rows(form, COLUMNS, [_row(entry) for entry in entries])


def _entries(view: CatalogView, reference: str | None, count: int) -> list[AuditEntry]:
    if reference is None:
        return view.audit.all(LAST_ID, count)
    if "." in reference:
        return view.audit.of_dataset(named_dataset(view, reference).identifier, LAST_ID, count)
    owner = view.owners.find(reference)
    if owner is None:
        raise not_found(f"There is no user or organization {reference}.")
    return view.audit.of_owner(owner.id, LAST_ID, count)


def _row(entry: AuditEntry) -> Row:
    ran_by = None if entry.system_user is None else f"{entry.system_user} (command)"
    return {
        "done": moment(entry.done_at),
        "action": entry.action.value,
        "subject": entry.subject,
        "details": ", ".join(f"{name}={value}" for name, value in entry.details.items()),
        "user": entry.user_name or ran_by,
        "token": entry.token_id,
        "address": entry.address,
        "request": entry.request_id,
    }
