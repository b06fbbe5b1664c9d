"""The OpenAPI document is held by a golden file: a change of the API is a change of a reviewed file.

UPDATE_GOLDEN=1 scripts/test tests/house/test_openapi.py writes it anew.
"""

import json
import os

from tests import plain_http
from tests.routes import GOLDEN
from tests.server_process import ServerProcess


def test_document_is_the_golden_one(server: ServerProcess) -> None:
    """What the server serves, as JSON and as YAML, is what was reviewed."""
    served = plain_http.get(f"{server.url}/openAPI.json").json()
    if os.environ.get("UPDATE_GOLDEN"):
        GOLDEN.parent.mkdir(exist_ok=True)
        GOLDEN.write_text(json.dumps(served, indent=1) + "\n", encoding="utf-8")
    assert served == json.loads(GOLDEN.read_text(encoding="utf-8"))
    yaml = plain_http.get(f"{server.url}/openAPI.yaml")
    assert yaml.headers["content-type"] == "application/yaml"
    assert yaml.json() == served
