"""The connection that other tests call over."""

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

from tests.api.caller import Caller
from tests.server_process import wait_until


class _ClosesAfterwards(BaseHTTPRequestHandler):
    """Keeps the connection by what it says, and ends it all the same, as a server does after a pause."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Says nothing."""


def test_a_connection_that_the_server_ended_is_opened_again() -> None:
    """A caller that comes back after a pause is answered over a new connection."""
    with HTTPServer(("127.0.0.1", 0), _ClosesAfterwards) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        caller = Caller(f"http://127.0.0.1:{server.server_port}")
        for _ in range(3):
            assert caller.ask(None, "GET", "/").status == 200
            wait_until(caller.was_closed)
        caller.close()
        server.shutdown()
        thread.join()
