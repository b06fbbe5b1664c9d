"""The floor: a bare ASGI application on the same HTTP server that decodes and stores nothing.

Run as `python -m rowkeep.trials.floor PORT`. Nothing that checks its rows can be faster on this server.
"""

import sys

import uvloop

from rowkeep.api.http.asgi import Receive, Scope, Send
from rowkeep.model.decoding.strict import row_decoder
from rowkeep.model.schema import Variable, declared_schema
from rowkeep.model.types import VariableType
from rowkeep.server import http_server, settle_memory
from rowkeep.trials.workload import SCHEMA

_accept = row_decoder(declared_schema([Variable(name, VariableType(type_)) for name, type_ in SCHEMA])).accept


async def floor(scope: Scope, receive: Receive, send: Send) -> None:
    """Decodes a body and answers 201."""
    del scope
    message = await receive()
    parts = [message["body"]]
    while message["more_body"]:
        message = await receive()
        parts.append(message["body"])
    body = b'{"kind":"insertRowsResponse","rowsAdded":%d}' % len(_accept(b"".join(parts)).rows)
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 201, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _serve(port: int) -> None:
    settle_memory()
    await http_server(floor, "127.0.0.1", port).serve()


if __name__ == "__main__":
    uvloop.run(_serve(int(sys.argv[1])))
