"""What the running agent says of itself over its control socket."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from agent.errors import AgentError
from agent.ops.control_client import ask
from agent.terminal.doctor.finding import Finding, fault, hidden, ok, warning
from agent.terminal.doctor.lines import BROKER_FILES, CENTRAL, RESTART, RESTART_CENTRAL

SILENT_S = 900
"""A terminal with a link says hello every five minutes."""


def status_of(socket: Path) -> dict[str, object] | Finding:
    """Return the agent's status, or the finding that it does not answer."""
    check = "agent.answer"
    try:
        return ask(socket, "status")
    except AgentError as error:
        if not socket.parent.exists() or "Permission denied" in str(error):
            return hidden(check, f"{socket}: root, canteen-technician and canteen-staff may ask it")
        return fault(check, str(error), RESTART)


def judge(status: Mapping[str, object], installed: str) -> Iterator[Finding]:
    """Yield the findings about a status. `installed` is this program's version. Pure."""
    yield ok("agent.answer", "the agent answers")
    running = str(status["software"])
    if running == installed:
        yield ok("agent.version", f"the agent runs version {running}, which is installed")
    else:
        seen = f"the agent runs version {running}, and {installed} is installed"
        yield warning("agent.version", seen, RESTART)
    for name, text in msgspec.convert(status["readers"], dict[str, str]).items():
        if text.startswith("ready"):
            yield ok("agent.reader", f"{name}: {text}")
        else:
            yield fault("agent.reader", f"{name}: {text}", "canteen-agent readers")
    link = str(status["link"])
    if link == "up":
        yield ok("agent.link", "the link to the broker is up")
    elif link.startswith("up, but"):
        yield fault("agent.link", link, BROKER_FILES)
    else:
        yield warning("agent.link", link, f"{RESTART}  # when broker.name, .port and .tls are ok")
    if status["not_booked"] is not None:
        yield fault("agent.booked", str(status["not_booked"]), RESTART_CENTRAL)
    else:
        yield ok("agent.booked", f"{status['pending']} entries wait for the central")
    yield _central(status)
    if status["clock_fault"] is not None:
        yield warning("agent.clock", str(status["clock_fault"]), "timedatectl status")
    else:
        yield ok("agent.clock", f"{status['clock']}, by {status['clock_source']}")


def _central(status: Mapping[str, object]) -> Finding:
    """Return when the central answered last, and at which position the terminal's records are."""
    check, answered_s = "agent.central", status["last_contact_s"]
    stand = f"generation {str(status['generation'])[:8]}, position {status['position']}"
    if status["wiped"]:
        mend = f"{CENTRAL} terminals add {status['terminal']} SITE  # if it is to work again"
        return fault(check, "the central has closed this terminal: nobody is served", mend)
    if not isinstance(answered_s, int):
        return warning(check, "the central has never answered this terminal", RESTART_CENTRAL)
    ago = f"the central answered {answered_s // 60} min ago; {stand}"
    if status["resyncing"]:
        return warning(check, f"{ago}; all records are compared again", "wait some minutes")
    if answered_s > SILENT_S:
        return warning(check, ago, RESTART_CENTRAL)
    return ok(check, ago)
