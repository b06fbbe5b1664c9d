"""Reads what `rowkeep serve` prints, makes the demo stream once it listens, and says how to use it.

Run by scripts/serve as `demo.py TOKEN_FILE`. Where the server listens is written to the file demo-url beside
that of the token, which the guides read. Only the standard library, and the same HTTP API that everyone
uses. What exists already stays as it is.
"""

import json
import re
import shlex
import signal
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

DATASET = "weather"
TABLE = "measurements"
UPLOAD = "live"
SCHEMA = [
    {"name": "site", "type": "string"},
    {"name": "count", "type": "integer"},
    {"name": "temperature", "type": "float"},
    {"name": "valid", "type": "boolean"},
    {"name": "day", "type": "date"},
    {"name": "measured_at", "type": "dateTime"},
    {"name": "local_time", "type": "time"},
    {"name": "position", "type": "geography"},
]
ROW = {
    "site": "Zurich",
    "count": 3,
    "temperature": 21.5,
    "valid": True,
    "day": "2026-01-31",
    "measured_at": "2026-01-31T12:00:00.000",
    "local_time": "12:00:00",
    "position": "POINT(8.54 47.37)",
}
TABLE_PATH = f"/tables/demo.{DATASET}.{TABLE}"

_COMMAND = Path(sys.executable).parent / "rowkeep"
_listening = re.compile(r"rowkeep: listening on (\S+)").match
# The server is on this machine, whatever proxy the environment names.
_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Api:
    """Requests to a server."""

    def __init__(self, url: str, token: str) -> None:
        self._url = url
        self._token = token

    def exists(self, path: str) -> bool:
        """Whether something is at a path. Raises HTTPError for every answer but 200 and 404."""
        try:
            self._send(path, None)
        except urllib.error.HTTPError as error:
            if error.code != 404:
                raise
            return False
        return True

    def create(self, path: str, body: dict[str, Any]) -> None:
        """Creates something. Raises HTTPError."""
        self._send(path, json.dumps(body).encode())

    def _send(self, path: str, body: bytes | None) -> None:
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}
        request = urllib.request.Request(self._url + path, body, headers)
        with _opener.open(request, timeout=30) as response:
            response.read()


def make_demo(api: Api) -> None:
    """Makes what is missing of the demo dataset, table and stream."""
    if not api.exists(f"/datasets/demo.{DATASET}"):
        api.create("/users/demo/datasets", {"name": DATASET, "publicAccessLevel": "none"})
    if not api.exists(TABLE_PATH):
        api.create(f"/datasets/demo.{DATASET}/tables", {"name": TABLE})
    if not api.exists(f"{TABLE_PATH}/uploads/{UPLOAD}"):
        api.create(f"{TABLE_PATH}/uploads", {"name": UPLOAD, "type": "stream", "schema": SCHEMA})


def usage(url: str, token: str) -> str:
    """What can be pasted to use the demo stream."""
    body = json.dumps({"rows": [ROW]})
    return f"""
Endpoint:  {url}
Token:     {token}

Insert a row (the answer 201 means that it is on disk):

curl -X POST {url}{TABLE_PATH}/uploads/{UPLOAD}/rows -H 'Authorization: Bearer {token}' \
-H 'Content-Type: application/json' -d '{body}'

Read it back:

curl '{url}{TABLE_PATH}/rows?format=csv' -H 'Authorization: Bearer {token}'

For the guides and the command line, paste these lines into another shell ({_COMMAND} is the command):

export ROWKEEP_URL={url}
export ROWKEEP_TOKEN={token}
export PATH={shlex.quote(str(_COMMAND.parent))}:$PATH

The same with the Python client (pip install redivis 'polars<2'):

import os

os.environ["REDIVIS_API_ENDPOINT"] = "{url}"
os.environ["REDIVIS_API_TOKEN"] = "{token}"
import redivis

table = redivis.table("demo.{DATASET}.{TABLE}")
table.upload("{UPLOAD}").insert_rows([{{"site": "Bern", "temperature": 19.5}}])
print(table.to_pandas_dataframe())

Stop the server with Ctrl-C; the data stays.
"""


def main() -> None:
    """Passes the server's output on until it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the server stops, and with it its output
    token_file = Path(sys.argv[1])
    token = token_file.read_text(encoding="utf-8").strip()
    for line in sys.stdin:
        print(line, end="", flush=True)
        match = _listening(line)
        if match:
            token_file.with_name("demo-url").write_text(f"{match[1]}\n", encoding="utf-8")
            try:
                make_demo(Api(match[1], token))
            except urllib.error.URLError as error:
                print(f"The demo stream could not be made: {error}", file=sys.stderr, flush=True)
            else:
                print(usage(match[1], token), flush=True)


if __name__ == "__main__":
    main()
