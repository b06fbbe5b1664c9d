"""References: the texts by which a request names a dataset, a table or an upload.

    tableReference   = ownerName "." datasetIdentifier "." tableIdentifier
    datasetReference = ownerName "." datasetIdentifier
    datasetIdentifier, tableIdentifier = name *( ":" suffix )
    suffix           = referenceId | version | "sample"      in any order, on either part
    version          = "v1.0" | "v1_0" | "current" | "next"

A name matches by its key: every run of characters that are neither letters nor digits counts as one
underscore; underscores at the ends, the case and how an accent is composed do not count. The same key
decides uniqueness.
A reference id wins over the name beside it, which is then only informative.
Source: contract 3.
"""

import re
import secrets
from unicodedata import normalize
from urllib.parse import quote, unquote

import msgspec

from rowkeep.model.errors import invalid_request, not_found

NAME_CHARACTERS_MAX = 128
UPLOAD_NAME_CHARACTERS_MAX = 255  # as many as the name of a file may have
ID_ALPHABET = "abcdefghjkmnpqrstvwxyz0123456789"

_version_match = re.compile(r"(?:v(\d{1,6})[._](\d{1,6})|current|next)", re.IGNORECASE | re.ASCII).fullmatch
_reference_id_match = re.compile(r"[a-z0-9]{4}").fullmatch
_dotted_version = re.compile(r":(v\d+)\.(\d+)", re.IGNORECASE)
_percent_encoded = re.compile(r"%[0-9A-Fa-f]{2}").search
_unkeyed = re.compile(r"[\W_]+")


class Identifier(msgspec.Struct, frozen=True):
    """One part of a reference: a name and its suffixes."""

    name: str
    reference_id: str | None = None
    version_tag: str | None = None
    is_sample: bool = False

    @property
    def key(self) -> str:
        """Returns the key by which the name is found."""
        return name_key(self.name)


class DatasetReference(msgspec.Struct, frozen=True):
    """`owner.dataset`, the version tag in lower case with a dot, or None for the default version."""

    owner_name: str
    dataset: Identifier
    version_tag: str | None

    @property
    def text(self) -> str:
        """Returns the reference as a caller would write it."""
        version = "" if self.version_tag is None else f":{self.version_tag}"
        return f"{self.owner_name}.{self.dataset.name}{version}"


class TableReference(msgspec.Struct, frozen=True):
    """`owner.dataset.table`."""

    dataset_reference: DatasetReference
    table: Identifier


def name_key(name: str) -> str:
    """Returns what two names of the same thing have in common.

    It is empty for a name without a letter or digit.
    """
    # Folding may take characters apart and composing may bring capitals: both until neither does anything.
    folded = normalize("NFKC", normalize("NFKC", name.casefold()).casefold())
    return _unkeyed.sub("_", folded).strip("_")


def upload_key(name: str) -> str:
    """Returns the key by which an upload's name is found. Clients send `my up_load` for `my up.load`."""
    return normalize("NFC", name.replace(".", "_").casefold())


def decoded_again(text: str) -> str | None:
    """Returns a name that a client encoded twice, decoded once more; None if it was not.

    R encodes twice what it is given encoded.
    """
    return unquote(text) if _percent_encoded(text) else None


def version_parts(tag: str) -> tuple[int, int] | None:
    """Returns major and minor of a tag such as v1.0.

    None for `current`, `next` and anything that is not a tag.
    """
    match = _version_match(tag)
    return None if match is None or match[1] is None else (int(match[1]), int(match[2]))


def parse_version_tag(text: str) -> str:
    """Returns a version tag from a path segment: v1.0, v1_0, 1.0, current or next. Raises not_found_error."""
    lowered = text.lower()
    tag = f"v{lowered}" if lowered[:1].isdigit() else lowered
    if not _version_match(tag):
        raise not_found(f"There is no version {text}.")
    return tag.replace("_", ".")


def parse_dataset_reference(text: str) -> DatasetReference:
    """Reads `owner.dataset`. Raises not_found_error for anything else."""
    parts = _parts(text)
    if len(parts) != 2:
        raise not_found(f"{text!r} is not a dataset reference; write owner.dataset.")
    dataset = _identifier(parts[1])
    return DatasetReference(parts[0], dataset, dataset.version_tag)


def parse_table_reference(text: str) -> TableReference:
    """Reads `owner.dataset.table`. Raises not_found_error for anything else."""
    parts = _parts(text)
    if len(parts) != 3:
        raise not_found(
            f"{text!r} is not a table reference; write owner.dataset.table, with _ for a dot in a name."
        )
    dataset, table = _identifier(parts[1]), _identifier(parts[2])
    version_tag = dataset.version_tag or table.version_tag
    return TableReference(DatasetReference(parts[0], dataset, version_tag), table)


def _parts(text: str) -> list[str]:
    return _dotted_version.sub(r":\1_\2", decoded_again(text) or text).split(".")


def _identifier(text: str) -> Identifier:
    name, *suffixes = text.split(":")
    reference_id: str | None = None
    version_tag: str | None = None
    is_sample = False
    for suffix in suffixes:
        lowered = suffix.lower()
        if _version_match(lowered):
            version_tag = lowered.replace("_", ".")
        elif lowered == "sample":
            is_sample = True
        elif _reference_id_match(lowered):
            reference_id = lowered
        else:
            raise not_found(f"{suffix!r} is neither a reference id nor a version.")
    return Identifier(name, reference_id, version_tag, is_sample)


def new_identifier() -> str:
    """Returns a random id `xxxx-yyyyyyyyy`. Its first part is the reference id."""
    characters = "next"
    while characters.startswith("next"):  # a reference would take it for the version
        characters = "".join(secrets.choice(ID_ALPHABET) for _ in range(13))
    return f"{characters[:4]}-{characters[4:]}"


def reference_id(identifier: str) -> str:
    """Returns the part of an id that references carry."""
    return identifier.partition("-")[0]


def checked_name(kind: str, name: str) -> str:
    """Returns a valid name for a dataset, table or upload. Raises invalid_request_error."""
    thing = "an upload" if kind == "upload" else f"a {kind}"
    if not name.strip() or not name_key(name):
        raise invalid_request(f"The name of {thing} needs at least one letter or digit.")
    characters_max = UPLOAD_NAME_CHARACTERS_MAX if kind == "upload" else NAME_CHARACTERS_MAX
    if len(name) > characters_max:
        raise invalid_request(f"The name of {thing} may have at most {characters_max} characters.")
    if any(ord(character) < 32 for character in name):
        raise invalid_request(f"The name of {thing} may not hold control characters.")
    return name


def upload_segment(name: str) -> str:
    """Returns an upload's name as one path segment of a uri."""
    return quote(name.replace(".", "_"), safe="")
