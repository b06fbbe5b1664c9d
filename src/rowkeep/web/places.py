"""The references that stand in the addresses of pages: names and versions, as a person types them."""

from rowkeep.services.access import Place
from rowkeep.services.tables import TableView


def dataset_reference(place: Place) -> str:
    """Returns `owner.dataset:version`."""
    tag = place.version.tag.replace(".", "_")
    return f"{place.dataset.owner_name}.{place.dataset.name_key}:{tag}"


def table_reference(view: TableView) -> str:
    """Returns `owner.dataset:version.table`."""
    return f"{dataset_reference(view.place)}.{view.table.name_key}"
