"""References as a person types them, and their paths in the API.

demo                       an owner
demo.weather               a dataset, or demo.weather:v1.0 for one of its versions
demo.weather.measurements  a table, or demo.weather:v1.0.measurements
"""

import re
from enum import StrEnum
from urllib.parse import quote

import msgspec

_version_dot = re.compile(r"(:v?\d+)\.(?=\d+(?:\.|$))").sub

_has_version = re.compile(r":(?:v\d+[._]\d+|current|next)(?=[.:]|$)", re.IGNORECASE).search


class PlaceKind(StrEnum):
    """The kinds of things that a reference names."""

    OWNER = "owner"
    DATASET = "dataset"
    TABLE = "table"


class Place(msgspec.Struct, frozen=True):
    """The parts of a reference. `dataset` may hold a version, and is empty for an owner."""

    owner: str
    dataset: str = ""
    table: str = ""

    @property
    def kind(self) -> PlaceKind:
        """Returns the kind of the thing that the reference names."""
        if self.table:
            return PlaceKind.TABLE
        return PlaceKind.DATASET if self.dataset else PlaceKind.OWNER

    @property
    def dataset_reference(self) -> str:
        """Returns the reference of the dataset."""
        return f"{self.owner}.{self.dataset}"

    @property
    def reference(self) -> str:
        """Returns the whole reference."""
        return ".".join(part for part in (self.owner, self.dataset, self.table) if part)

    @property
    def dataset_path(self) -> str:
        """Returns the path of the dataset."""
        return f"/datasets/{quote(self.dataset_reference, safe='')}"

    @property
    def path(self) -> str:
        """Returns the path of a table or a dataset."""
        if self.kind is PlaceKind.TABLE:
            return f"/tables/{quote(self.reference, safe='')}"
        return self.dataset_path


def parse_place(text: str) -> Place:
    """Returns the parts of a reference. Raises ValueError."""
    parts = _version_dot(r"\1_", text.strip()).split(".")
    if len(parts) > 3 or not all(parts):
        raise ValueError(
            f"{text!r} is no reference: an owner is demo, a dataset demo.weather, a table "
            "demo.weather.measurements. A dot in a name is written _."
        )
    return Place(*parts)


def table_place(text: str) -> Place:
    """Returns the parts of the reference of a table. Raises ValueError."""
    place = parse_place(text)
    if place.kind is not PlaceKind.TABLE:
        raise ValueError(f"{text!r} names no table: write OWNER.DATASET.TABLE.")
    return place


def dataset_place(text: str) -> Place:
    """Returns the parts of the reference of a dataset. Raises ValueError."""
    place = parse_place(text)
    if place.kind is not PlaceKind.DATASET:
        raise ValueError(f"{text!r} names no dataset: write OWNER.DATASET.")
    return place


def written_reference(text: str) -> str:
    """Returns a table's reference for a write: without a version it means the next one, not the current."""
    return text if _has_version(text) else f"{text}:next"
