"""The screen's web application: one page, its stream of news, and the staff's requests.

Nothing of a child is stored, here or in the browser: answers are passed on and forgotten. Requests
that change something must come from the page itself.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from agent.ops.screen_settings import Language, ScreenSettings
from agent.screen.terminal_link import UnavailableError, ask, watch
from agent.screen.texts import catalogue

ROOM = Path(__file__).parent
# What the page may ask of the terminal. `watch` has its own address.
READING = frozenset({"classes", "class", "search"})
WRITING = frozenset({"storno", "meal", "closing", "day", "credit"})
BODY_BYTES_MAX = 4_096
RETRY_S = 1.0
"""How soon a terminal that is starting is tried again."""
PING_S = 15.0
"""A stream that is silent for so long gets a comment, so that a dead browser is noticed."""
SECURITY = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self';"
        " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def make_app(settings: ScreenSettings) -> Starlette:
    """Return the application of one terminal's screen."""
    pages = Environment(
        loader=FileSystemLoader(ROOM / "templates"),
        autoescape=select_autoescape(),
        undefined=StrictUndefined,
    )

    async def page(request: Request) -> Response:
        language = _language(request, settings)
        words = catalogue(language)
        text = pages.get_template("screen.html").render(
            language=language,
            other="en" if language == "it" else "it",
            help=settings.help,
            zone=settings.zone,
            words=json.dumps(words, ensure_ascii=False).replace("<", "\\u003c"),
            _=lambda text: words.get(text, text),
        )
        return HTMLResponse(text)

    async def events(request: Request) -> Response:
        return StreamingResponse(_events(settings.staff_socket), media_type="text/event-stream")

    async def requested(request: Request) -> Response:
        return await _requested(request, settings.staff_socket)

    return Starlette(
        routes=[
            Route("/", page),
            Route("/events", events),
            Route("/ask/{do}", requested, methods=["POST"]),
            Mount("/static", StaticFiles(directory=ROOM / "static")),
        ],
        middleware=[
            Middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost"]),
            Middleware(_Secured),
        ],
    )


class _Secured:
    """Adds the headers of `SECURITY` to every answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_secured(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(SECURITY)
            await send(message)

        await self._app(scope, receive, send_secured)


def _language(request: Request, settings: ScreenSettings) -> Language:
    match request.query_params.get("lang"):
        case "it":
            return "it"
        case "en":
            return "en"
        case _:
            return settings.language


async def _requested(request: Request, socket: Path) -> Response:
    """Pass a request on. Another page, which a browser might have open, is refused."""
    do = request.path_params["do"]
    own = f"http://{request.headers.get('host', '')}"
    if request.headers.get("origin") != own:
        return JSONResponse({"error": "only the page itself may ask"}, status_code=403)
    if do not in READING | WRITING:
        return JSONResponse({"error": f"the screen has no request {do}"}, status_code=404)
    arguments = await _arguments(request)
    if arguments is None:
        return JSONResponse({"error": "write the arguments as JSON"}, status_code=400)
    try:
        return JSONResponse(await ask(socket, do, **arguments))
    except UnavailableError:
        return JSONResponse({"unavailable": True}, status_code=503)


async def _arguments(request: Request) -> dict[str, object] | None:
    """Return the members of a request's body; None if it is too long, or no JSON object."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > BODY_BYTES_MAX:
            return None
    try:
        arguments: object = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return arguments if isinstance(arguments, dict) else None


async def _events(socket: Path) -> AsyncIterator[str]:
    """Yield server-sent events: each line of the terminal, and `gone` while it does not answer."""
    is_gone = False
    while True:
        lines = watch(socket)
        try:
            async for event in _with_pings(lines):
                is_gone = False
                yield event
        except UnavailableError:
            pass
        if not is_gone:
            is_gone = True
            yield "event: gone\ndata: {}\n\n"
        await asyncio.sleep(RETRY_S)
        yield ": waiting\n\n"


async def _with_pings(lines: AsyncIterator[dict[str, object]]) -> AsyncIterator[str]:
    """Yield an event for each line, and a comment when none came for `PING_S`."""
    pending = asyncio.ensure_future(anext(lines))
    try:
        while True:
            done, _ = await asyncio.wait({pending}, timeout=PING_S)
            if not done:
                yield ": still here\n\n"
                continue
            try:
                line = pending.result()
            except StopAsyncIteration:
                return
            yield f"data: {json.dumps(line, ensure_ascii=False)}\n\n"
            pending = asyncio.ensure_future(anext(lines))
    finally:
        pending.cancel()
