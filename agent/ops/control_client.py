"""The client side of the control socket: commands on the same machine ask a running agent.

One JSON line each way: `{"v": 1, "id": …, "do": …, "arguments": {…}}`, then `id` and the members of
the answer, or `error` with a sentence.
"""

import json
import socket
import time
from pathlib import Path

from agent.errors import AgentError

VERSION = 1
"""Of the control interface; another one is refused with a sentence."""
ANSWER_BYTES_MAX = 1_048_576
"""An answer is a status or an entry; a larger one comes from another program's socket."""
ANSWER_WAIT_S = 5.0
"""The main loop answers between two taps; a person waits no longer than this."""
READ_BYTES = 4_096


def ask(path: Path, do: str, **arguments: object) -> dict[str, object]:
    """Return the running agent's answer. Raise `AgentError` if none runs, or if it refuses."""
    message = {"v": VERSION, "id": "1", "do": do, "arguments": arguments}
    request = json.dumps(message).encode() + b"\n"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as peer:
        peer.settimeout(ANSWER_WAIT_S + 1)
        try:
            peer.connect(str(path))
            peer.sendall(request)
            answer: dict[str, object] = json.loads(
                read_line(peer, ANSWER_BYTES_MAX, ANSWER_WAIT_S + 1)
            )
        except (OSError, ValueError) as error:
            raise AgentError(
                f"{path}: no agent answers ({error}); check that it runs and that your user may"
                " open this socket"
            ) from error
    answer.pop("id", None)
    if "error" in answer:
        raise AgentError(str(answer["error"]))
    return answer


def read_line(peer: socket.socket, bytes_max: int, wait_s: float = ANSWER_WAIT_S) -> bytes:
    """Return one line, or what arrived of it after about `bytes_max` bytes or `wait_s` seconds.

    The time-out is for the whole line: a peer that sends byte by byte must not block others.
    """
    received = b""
    deadline = time.monotonic() + wait_s
    while not received.endswith(b"\n") and len(received) < bytes_max:
        part = peer.recv(READ_BYTES)
        if not part or time.monotonic() > deadline:
            break
        received += part
    return received
