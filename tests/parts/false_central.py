"""A server in the place of the enrolment server: it shows any authority, and keeps what it gets."""

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from agent.sync.enrolment import CA_PATH, Address


class FalseCentral:
    """`posted` is every body that it received. `answer` is what it answers to a post."""

    def __init__(self, authority: str, answer: bytes) -> None:
        self.posted: list[bytes] = []
        self.authority = authority
        self.answer = answer
        self.address = Address("127.0.0.1", 0)


@contextmanager
def false_central(
    certificate: Path, authority: str, answer: bytes = b"{}"
) -> Iterator[FalseCentral]:
    """Run a server with the key and certificate of a file, that shows `authority` at /ca."""
    false = FalseCentral(authority, answer)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            assert self.path == CA_PATH
            self._send(false.authority.encode())

        def do_POST(self) -> None:
            false.posted.append(self.rfile.read(int(self.headers["Content-Length"])))
            self._send(false.answer)

        def _send(self, body: bytes) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.handle_error = lambda request, client_address: None  # type: ignore[method-assign]
    false.address = Address("127.0.0.1", server.server_address[1])
    thread = threading.Thread(target=server.serve_forever, name="false central")
    thread.start()
    try:
        yield false
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
