"""A request to an ASGI application without a network, to hold it in a state of a test's choice."""

from starlette.requests import Request
from starlette.types import Message


def request(*parts: bytes, query: bytes = b"", method: str = "POST") -> Request:
    """Return a request whose body comes in parts."""
    messages = [{"type": "http.request", "body": part, "more_body": True} for part in parts]
    messages.append({"type": "http.request", "body": b"", "more_body": False})
    waiting = iter(messages)

    async def receive() -> Message:
        return next(waiting)

    scope = {
        "type": "http", "method": method, "path": "/", "query_string": query, "headers": [],
        "server": ("localhost", 80), "scheme": "http",
    }  # fmt: skip
    return Request(scope, receive)
