"""The page of `make play`: a click becomes one action of the town; the state streams back."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from demo.play_town import PlayTown
from demo.screen_frame import ScreenFrames

ROOM = Path(__file__).parent / "play"
LOOK_S = 0.3
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self';"
    " frame-src http://127.0.0.1:*; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def make_app(town: PlayTown, frames: ScreenFrames, is_ending: Callable[[], bool]) -> Starlette:
    """Return the page's application. Its streams end when the server is to end."""

    async def page(request: Request) -> Response:
        text = (ROOM / "play.html").read_text(encoding="utf-8")
        for name, address in frames.addresses.items():
            text = text.replace(f"@{name}@", address)
        return HTMLResponse(text, headers={"Content-Security-Policy": POLICY})

    async def state(request: Request) -> Response:
        return StreamingResponse(_states(town, is_ending), media_type="text/event-stream")

    async def act(request: Request) -> Response:
        if request.headers.get("origin") != f"http://{request.headers.get('host', '')}":
            return JSONResponse({"seen": "only the page itself may ask"}, status_code=403)
        asked = await request.json()
        return JSONResponse({"seen": await asyncio.to_thread(_act, town, asked)})

    @asynccontextmanager
    async def framed(app: Starlette) -> AsyncIterator[None]:
        await frames.open()
        yield
        await frames.close()

    return Starlette(
        routes=[
            Route("/", page),
            Route("/state", state),
            Route("/act", act, methods=["POST"]),
            Mount("/static", StaticFiles(directory=ROOM)),
        ],
        lifespan=framed,
    )


def _act(town: PlayTown, asked: dict[str, object]) -> str:
    box, child = str(asked.get("box", "")), asked.get("child")
    match asked.get("do"):
        case "tap" if isinstance(child, int):
            return town.tap(box, child)
        case "pay" if isinstance(child, int):
            return town.pay(child)
        case str(what):
            return town.plug(what, box, bool(asked.get("on")))
        case _:
            return "nothing was asked"


async def _states(town: PlayTown, is_ending: Callable[[], bool]) -> AsyncIterator[str]:
    """Yield the town's state whenever it is another one."""
    shown = ""
    while not is_ending():
        state = json.dumps(await asyncio.to_thread(town.state))
        yield f"data: {state}\n\n" if state != shown else ": same\n\n"
        shown = state
        await asyncio.sleep(LOOK_S)
