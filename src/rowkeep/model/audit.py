"""The audit log: which acts are written down, what is said of each, and where a call comes from.

An act takes rights or data away, gives them, or makes them count for others. Its entry is written in the
transaction of the act: either both are there or none is. Inserts and reads are no acts.
"""

from collections.abc import Mapping
from contextvars import ContextVar
from enum import StrEnum

import msgspec

from rowkeep.model.resources import Dataset, Owner, Table, Upload, Version


class AuditAction(StrEnum):
    """The acts that are written down."""

    CREATE_USER = "user.create"
    CREATE_ORGANIZATION = "organization.create"
    SET_MEMBER = "member.set"
    REMOVE_MEMBER = "member.remove"
    CREATE_TOKEN = "token.create"  # an act, not a token
    REVOKE_TOKEN = "token.revoke"
    REVOKE_LINKS = "links.revoke"
    RECOVER_CATALOG = "catalog.recover"
    SET_GRANT = "access.grant"
    REVOKE_GRANT = "access.revoke"
    CHANGE_PUBLIC_ACCESS = "access.public"
    CREATE_DATASET = "dataset.create"
    DELETE_DATASET = "dataset.delete"
    RELEASE_VERSION = "version.release"
    UNRELEASE_VERSION = "version.unrelease"
    DELETE_VERSION = "version.delete"
    UNDELETE_VERSION = "version.undelete"
    DELETE_TABLE = "table.delete"
    DELETE_UPLOAD = "upload.delete"
    DELETE_RAW_FILE = "rawFile.delete"
    UNDO_REQUEST = "request.undo"
    EMPTY_QUARANTINE = "quarantine.empty"
    REPLAY_QUARANTINE = "quarantine.replay"


class Origin(msgspec.Struct, frozen=True):
    """Where a call comes from: a request, a command on the server's machine, or the server itself.

    `system_user` is the machine's name for who ran the command. An origin that is neither a request nor a
    command is the server itself.
    """

    token_hash: bytes | None = None
    address: str | None = None
    request_id: str | None = None
    system_user: str | None = None


THE_SERVER = Origin()
# Of the request that is being answered. It is read where a transaction begins, by the task that asks for it.
origin_of_call: ContextVar[Origin] = ContextVar("origin_of_call", default=THE_SERVER)


class AuditSubject(msgspec.Struct, frozen=True):
    """What an act was done to: its name for people, its owner, and its data set."""

    text: str
    owner_id: int | None
    dataset_identifier: str | None = None


WHOLE_SERVER = AuditSubject("server", None)


class AuditEntry(msgspec.Struct, frozen=True):
    """One act.

    `user_name` and `token_id` belong to the request; they are None for commands and the server.
    """

    id: int
    done_at: int
    action: AuditAction
    subject: str
    details: Mapping[str, str]
    user_name: str | None
    token_id: int | None
    address: str | None
    request_id: str | None
    system_user: str | None


def owner_subject(owner: Owner) -> AuditSubject:
    """Returns a user or an organization as the subject of an act."""
    return AuditSubject(owner.name, owner.id)


def dataset_subject(dataset: Dataset) -> AuditSubject:
    """Returns a data set as the subject of an act."""
    return _of_dataset(dataset, f"{dataset.owner_name}.{dataset.name_key}")


def version_subject(dataset: Dataset, version: Version) -> AuditSubject:
    """Returns a version of a data set as the subject of an act."""
    return _of_dataset(dataset, _version_text(dataset, version))


def table_subject(dataset: Dataset, version: Version, table: Table) -> AuditSubject:
    """Returns a table as the subject of an act."""
    return _of_dataset(dataset, f"{_version_text(dataset, version)}.{table.name_key}")


def upload_subject(dataset: Dataset, version: Version, table: Table, upload: Upload) -> AuditSubject:
    """Returns an upload as the subject of an act."""
    table_text = table_subject(dataset, version, table).text
    return _of_dataset(dataset, f"{table_text}/uploads/{upload.name}")


def raw_file_subject(dataset: Dataset, version: Version, name: str) -> AuditSubject:
    """Returns a file of a file index table as the subject of an act."""
    return _of_dataset(dataset, f"{_version_text(dataset, version)}/rawFiles/{name}")


def _version_text(dataset: Dataset, version: Version) -> str:
    return f"{dataset.owner_name}.{dataset.name_key}:{version.tag}"


def _of_dataset(dataset: Dataset, text: str) -> AuditSubject:
    return AuditSubject(text, dataset.owner_id, dataset.identifier)
