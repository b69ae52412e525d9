"""What is wrong with a terminal: the central receives nothing, or it names a fault itself. Pure."""

from agent.domain.clock import Instant, age_ms
from agent.errors import SyncError
from agent.sync.messages import TerminalState, decode

SILENT_MS = 660_000
"""Two hellos, which come every five minutes, and a minute more."""
SILENT = "silent"
"""The id of the fault of a terminal that cannot be reached."""


def state_of(kept: str | None) -> TerminalState | None:
    """Return a state as the books keep it, None for none, or for a later version's form."""
    try:
        return decode(kept.encode(), TerminalState) if kept is not None else None
    except SyncError:
        return None


def terminal_faults(
    state: TerminalState | None, contact_at: Instant, now: Instant
) -> dict[str, str]:
    """Return the faults of a terminal in use by id, with the words. A reader's name is in its id.

    `contact_at` is when something came from it last. Of a silent one the faults it had are kept.
    """
    faults: dict[str, str] = {}
    silent_ms = age_ms(contact_at, now)
    if state is not None and not state.online:
        faults[SILENT] = "offline: the broker has lost it; look at its power and its network"
    elif silent_ms >= SILENT_MS:
        faults[SILENT] = "it sends nothing though it is connected; look whether its agent runs"
    for fault in state.faults if state is not None else ():
        faults[f"{fault.id} {fault.subject}" if fault.subject else fault.id] = " ".join(
            fault.words.split()
        )
    return faults


def duration(milliseconds: int) -> str:
    """Return how long something took, as people write it: `45 s`, `12 min`, `3 h 20 min`."""
    minutes = milliseconds // 60_000
    if minutes < 1:
        return f"{milliseconds // 1000} s"
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"
