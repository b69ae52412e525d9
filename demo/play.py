"""A town to play with, in a browser: `make play`.

A real broker, central and web server, two terminals on a virtual PC/SC reader and on a pty, their
screens, and one page: the cards of a class, a wallet that pays, and the plugs to pull. Everything
goes through the real parts. It ends with Ctrl-C, and nothing is left.
"""

import argparse
import contextlib
import signal
import sys
import tempfile
from pathlib import Path

import uvicorn

from demo.play_page import make_app
from demo.play_town import PlayTown
from demo.screen_frame import ScreenFrames
from tests.parts.broker import free_port

SHUTDOWN_S = 1  # open streams of the page do not end by themselves


def main() -> int:
    """Run the town until Ctrl-C or SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m demo.play")
    parser.add_argument("--port", type=int, default=0, help="the page's port; any free one if 0")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    signal.signal(signal.SIGINT, signal.default_int_handler)
    folder = Path(tempfile.mkdtemp(prefix="canteen-play-"))
    print(f"logs and databases of this town: {folder}", flush=True)
    try:
        with contextlib.ExitStack() as stack:
            port = given.port or free_port()
            town = PlayTown(folder, stack)
            town.open()
            frames = ScreenFrames(f"http://127.0.0.1:{port}", town.screen_ports)
            server = uvicorn.Server(
                uvicorn.Config(
                    make_app(town, frames, lambda: server.should_exit),
                    host="127.0.0.1",
                    port=port,
                    log_level="critical",
                    timeout_graceful_shutdown=SHUTDOWN_S,
                )
            )
            print(f"the town: http://127.0.0.1:{port}/   (Ctrl-C ends it)", flush=True)
            server.run()
    except KeyboardInterrupt:
        pass
    finally:
        print("stopped; nothing is left running", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
