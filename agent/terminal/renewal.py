"""What the daily renewal leaves for the agent: on how many days it failed in a row, and why.

The renewal is a process of its own (`enrolling.py`), and the agent is what people look at. So the
renewal writes a small file beside the ledger, and deletes it when it has nothing to report.
"""

from contextlib import suppress
from datetime import datetime
from pathlib import Path

import msgspec
from msgspec import Struct

from agent.whole_file import PUBLIC_MODE, write_whole

RENEW_DAYS = 120
"""Before the end: a terminal that is locked away over the summer renews in time."""
_NAME = "renewal-failed.json"


class FailedTries(Struct, frozen=True):
    """On how many different days the renewal failed since it last worked, the last day, and why."""

    days: int
    last_day: str
    reason: str


def failed_tries(state_dir: Path) -> FailedTries | None:
    """Return what the last failed try left; None for none, or for a file that cannot be read."""
    try:
        return msgspec.json.decode((state_dir / _NAME).read_bytes(), type=FailedTries)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return None


def note_failure(state_dir: Path, reason: str, now: datetime) -> None:
    """Count a failed try. Several of one day are one: a technician tries again and again."""
    before, today = failed_tries(state_dir), f"{now:%Y-%m-%d}"
    days = 1 if before is None else before.days + (before.last_day != today)
    text = msgspec.json.encode(FailedTries(days, today, reason)).decode()
    with suppress(OSError):  # the caller reports the try itself; the certificate's end stays known
        write_whole(state_dir / _NAME, text, PUBLIC_MODE)


def forget_failures(state_dir: Path) -> None:
    """Delete what earlier tries left: the certificate is renewed, or its end is not near."""
    with suppress(OSError):
        (state_dir / _NAME).unlink(missing_ok=True)
