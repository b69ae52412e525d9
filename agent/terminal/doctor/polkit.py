"""Whether polkit lets the agent's user speak to pcscd, as pcscd itself asks it."""

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from agent.readers.open import ReaderConfig
from agent.terminal.doctor.finding import Finding, fault, hidden, ok
from agent.terminal.doctor.settings import USER

CHECK = "reader.polkit"
ACTIONS = ("org.debian.pcsc-lite.access_pcsc", "org.debian.pcsc-lite.access_card")
POLICY = Path("/usr/share/polkit-1/actions/org.debian.pcsc-lite.policy")
PKCHECK_S = 10.0
_REFUSED = ("Not authorized", "Authorization requires")
_MEND = (
    "sudo apt-get install --reinstall canteen-agent polkitd && sudo systemctl restart polkit pcscd"
)


def look_at_polkit(readers: Sequence[ReaderConfig], policy: Path = POLICY) -> Iterator[Finding]:
    """Yield what polkit answers for the agent's user. Only PC/SC readers need it."""
    if all(reader.port is not None for reader in readers):
        return
    if not policy.exists():
        yield ok(CHECK, "pcscd of this machine does not ask polkit")
    elif shutil.which("pkcheck") is None:
        yield fault(CHECK, "pcscd asks polkit, which is not installed", _MEND)
    elif os.geteuid() != 0:
        yield hidden(CHECK, f"only root may ask for the user {USER}; run sudo canteen-agent doctor")
    else:
        for action in ACTIONS:
            yield judge(action, *_answer(action))


def judge(action: str, code: int, words: str) -> Finding:
    """Return what an answer of pkcheck means: its exit code, and what it printed. Pure."""
    if code == 0:
        return ok(CHECK, f"polkit grants {action} to the user {USER}")
    if words.startswith(_REFUSED):
        return fault(CHECK, f"polkit refuses {action} to the user {USER}", _MEND)
    return hidden(CHECK, f"polkit does not answer: {words.strip() or code}")


def _answer(action: str) -> tuple[int, str]:
    # The number of the shell is that of pkcheck, which asks about itself, as the agent's user.
    ask = f"exec pkcheck --process $$ --action-id {action}"
    command = ["runuser", "-u", USER, "--", "sh", "-c", ask]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=PKCHECK_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return -1, str(error)
    return done.returncode, done.stderr
