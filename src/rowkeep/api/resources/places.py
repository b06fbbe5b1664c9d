"""Where datasets, versions, tables and uploads are: their references and paths. Source: contract 3."""

from urllib.parse import quote

from rowkeep.model.references import reference_id, upload_segment
from rowkeep.model.resources import Dataset, Version
from rowkeep.services.queries import QueryView
from rowkeep.services.tables import TableView
from rowkeep.services.uploads import UploadView


def scoped_dataset_reference(dataset: Dataset, version: Version) -> str:
    """Returns the reference of a dataset at a version, without its owner."""
    return f"{_unversioned_reference(dataset)}:{version.tag.replace('.', '_')}"


def _unversioned_reference(dataset: Dataset) -> str:
    return f"{dataset.name_key}:{reference_id(dataset.identifier)}"


def qualified_dataset_reference(dataset: Dataset, version: Version) -> str:
    """Returns the reference of a dataset at a version, with its owner."""
    return f"{dataset.owner_name.lower()}.{scoped_dataset_reference(dataset, version)}"


def dataset_uri(dataset: Dataset, version: Version) -> str:
    """Returns the path of a dataset at a version, relative to the API."""
    return f"/datasets/{quote(qualified_dataset_reference(dataset, version), safe=':.')}"


def unversioned_uri(dataset: Dataset) -> str:
    """Returns the path of a dataset for what belongs to it in every version."""
    return f"/datasets/{dataset.owner_name.lower()}.{quote(_unversioned_reference(dataset), safe=':')}"


def scoped_table_reference(view: TableView | UploadView) -> str:
    """Returns the reference of a table within its dataset."""
    return f"{view.table.name_key}:{reference_id(view.table.identifier)}"


def qualified_table_reference(view: TableView | UploadView) -> str:
    """Returns the reference of a table with its dataset, version and owner."""
    place = view.place
    dataset_reference = qualified_dataset_reference(place.dataset, place.version)
    return f"{dataset_reference}.{scoped_table_reference(view)}"


def table_uri(view: TableView | UploadView) -> str:
    """Returns the path of a table, relative to the API."""
    return f"/tables/{quote(qualified_table_reference(view), safe=':.')}"


def upload_uri(view: UploadView) -> str:
    """Returns the path of an upload, relative to the API."""
    return f"{table_uri(view)}/uploads/{upload_segment(view.upload.name)}"


def query_uri(view: QueryView) -> str:
    """Returns the path of a query, relative to the API."""
    return f"/queries/{view.job.identifier}"


def parent_uri(view: TableView | UploadView | QueryView) -> str:
    """Returns the path of what a variable belongs to: a table, an upload or a query."""
    if isinstance(view, QueryView):
        return query_uri(view)
    return upload_uri(view) if isinstance(view, UploadView) else table_uri(view)
