"""The references in the addresses of pages, and the values that every page of a table needs."""

from urllib.parse import quote

from rowkeep.services.access import Place
from rowkeep.services.tables import TableView
from rowkeep.web.routes import CONSOLE
from rowkeep.web.sessions import Session


def dataset_reference(place: Place) -> str:
    """Returns `owner.dataset:version`."""
    tag = place.version.tag.replace(".", "_")
    return f"{place.dataset.owner_name}.{place.dataset.name_key}:{tag}"


def dataset_path(reference: str) -> str:
    """Returns the address of a data set's page."""
    return f"{CONSOLE}/datasets/{quote(reference, safe=':.')}"


def table_reference(view: TableView) -> str:
    """Returns `owner.dataset:version.table`."""
    return f"{dataset_reference(view.place)}.{view.table.name_key}"


def table_path(reference: str) -> str:
    """Returns the address of a table's page."""
    return f"{CONSOLE}/tables/{quote(reference, safe=':.')}"


def shown_table(session: Session, view: TableView, tab: str) -> dict[str, object]:
    """Returns the values that every page of a table needs."""
    return {
        "session": session,
        "view": view,
        "table": view.table,
        "dataset": view.place.dataset,
        "version": view.place.version,
        "dataset_reference": dataset_reference(view.place),
        "reference": table_reference(view),
        "is_editable": view.place.is_editable,
        "tab": tab,
    }
