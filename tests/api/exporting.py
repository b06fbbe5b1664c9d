"""Exports over HTTP, for tests."""

import base64
import hashlib
import time
from typing import Any

import httpx

from tests.api.publishing import Json, Publication

UNFINISHED = ("queued", "running")
SECONDS_MAX = 60


def ended(made: Publication, export: Json) -> Json:
    """An export once it is completed, failed or cancelled."""
    deadline = time.monotonic() + SECONDS_MAX
    while export["status"] in UNFINISHED:
        assert time.monotonic() < deadline, export
        time.sleep(0.05)
        export = made.done("GET", export["uri"])
    return export


def export(made: Publication, uri: str, **said: Any) -> Json:
    """An export that has ended."""
    return ended(made, made.done("POST", f"{uri}/exports", said))


def download(made: Publication, found: Json, part: int = 0, **headers: str) -> httpx.Response:
    """The answer with a file of an export."""
    return made.client.get(f"{found['uri']}/download", params={"filePart": part}, headers=headers)


def content(made: Publication, found: Json, part: int = 0) -> bytes:
    """A file of an export, after what its headers say of it was checked."""
    response = download(made, found, part)
    assert response.status_code == 200, response.text
    body = response.content
    digest = base64.b64encode(hashlib.md5(body).digest()).decode()
    assert response.headers["content-digest"] == f"md5=:{digest}:"
    assert int(response.headers["content-length"]) == len(body)
    return body


def exported(made: Publication, uri: str, **said: Any) -> bytes:
    """The one file of an export that must succeed."""
    found = export(made, uri, **said)
    assert found["status"] == "completed", found
    assert found["fileCount"] == 1
    return content(made, found)
