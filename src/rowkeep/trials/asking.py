"""Requests of benchmarks that are not inserts, one connection each."""

import http.client
import json
from typing import Any

from rowkeep.trials.targets import Target

ASK_SECONDS_MAX = 600


def send_json(target: Target, method: str, path: str, body: object) -> dict[str, Any]:
    """Sends a request that must succeed. Returns the JSON object in its answer, if there is one."""
    connection = http.client.HTTPConnection(target.host, target.port, timeout=ASK_SECONDS_MAX)
    headers = {"Authorization": f"Bearer {target.token}", "Content-Type": "application/json"}
    connection.request(method, path, None if body is None else json.dumps(body), headers)
    response = connection.getresponse()
    answer = response.read()
    connection.close()
    if response.status not in (200, 201):
        raise RuntimeError(f"{method} {path} was answered {response.status}: {answer[:400]!r}")
    found: dict[str, Any] = json.loads(answer) if answer[:1] == b"{" else {}
    return found
