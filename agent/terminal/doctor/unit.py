"""Whether systemd runs the agent, from what `systemctl show` prints."""

import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

from agent.terminal.doctor.finding import Finding, fault, hidden, ok, warning
from agent.terminal.doctor.lines import REINSTALL, RESTART

UNIT = "canteen-agent.service"
SYSTEMCTL_S = 10.0
RESTARTS_MAX = 3
"""More restarts since the machine started are no accident."""
_MEMBERS = "LoadState,ActiveState,SubState,Result,ExecMainStatus,NRestarts,UnitFileState"
_REACH = "LoadState,ProtectSystem,StateDirectory,ReadWritePaths"
_USERS = f"sudo systemd-sysusers; {RESTART}"
_VENV = "  # Debian 12: sudo packaging/install-venv.sh"
# Exit codes of the set-up (systemd.exec(5), "Process Exit Codes"), and what mends each.
_SET_UP = {
    "78": ("the configuration is wrong", f"{RESTART}  # when configuration.file is mended"),
    "203": ("the program is missing", REINSTALL + _VENV),
    "216": ("a group of the unit is missing", _USERS),
    "217": ("the user canteen-agent is missing", _USERS),
    "243": ("a secret of the unit is missing", f"{RESTART}  # when credential.file is mended"),
}


def look_at_unit() -> Iterator[Finding]:
    """Yield the findings about the unit."""
    if shutil.which("systemctl") is None or not Path("/run/systemd/system").exists():
        yield hidden("service.state", "systemd does not run on this machine")
        return
    try:
        yield from judge(_shown(_MEMBERS))
    except (OSError, subprocess.TimeoutExpired) as error:
        yield hidden("service.state", f"systemctl does not answer: {error}")


def look_at_reach(folder: Path, config: Path) -> Iterator[Finding]:
    """Yield whether the unit may write in the folder that agent.toml names.

    Nothing where systemd does not say.
    """
    try:
        shown = _shown(_REACH)
    except (OSError, subprocess.TimeoutExpired):
        return
    if shown.get("LoadState") == "loaded":
        yield judge_reach(folder.resolve(), shown, config)


def judge_reach(folder: Path, shown: Mapping[str, str], config: Path) -> Finding:
    """Return whether the unit whose members `systemctl show` printed may write there. Pure."""
    check = "storage.reach"
    states = [Path("/var/lib") / name for name in shown.get("StateDirectory", "").split()]
    writable = [*states, *map(Path, shown.get("ReadWritePaths", "").split())]
    if shown.get("ProtectSystem") != "strict" or any(map(folder.is_relative_to, writable)):
        return ok(check, f"{UNIT} may write in {folder}")
    seen = f"{UNIT} may not write in {folder}, the state_dir of agent.toml"
    mend = f"sudo sed -i '/^state_dir *=/d' {config} && {RESTART}"
    return fault(check, seen, mend)


def _shown(members: str) -> dict[str, str]:
    command = ["systemctl", "show", UNIT, f"--property={members}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SYSTEMCTL_S, check=False)
    lines = (line.partition("=") for line in done.stdout.splitlines())
    return {name: value for name, _, value in lines}


def judge(shown: Mapping[str, str]) -> Iterator[Finding]:
    """Yield the findings about the members that `systemctl show` printed. Pure."""
    state = shown.get("ActiveState", "")
    if shown.get("LoadState") != "loaded":
        yield fault("service.state", f"there is no unit {UNIT}", REINSTALL + _VENV)
        return
    if state == "active":
        yield _restarts(shown)
    else:
        yield _stopped(shown)
    if shown.get("UnitFileState") in ("enabled", "static"):
        yield ok("service.enabled", "the agent starts with the machine")
    else:
        seen = f"{UNIT} is {shown.get('UnitFileState') or 'not enabled'}"
        yield fault("service.enabled", seen, f"sudo systemctl enable {UNIT}")


def _restarts(shown: Mapping[str, str]) -> Finding:
    restarts = shown.get("NRestarts", "0")
    if restarts.isdigit() and int(restarts) > RESTARTS_MAX:
        seen = f"{UNIT} runs, but was started {restarts} times again"
        mend = "sudo journalctl -u canteen-agent -p warning -n 20 --no-pager"
        return warning("service.state", seen, f"{mend}; sudo systemctl reset-failed canteen-agent")
    return ok("service.state", f"{UNIT} runs")


def _stopped(shown: Mapping[str, str]) -> Finding:
    code = shown.get("ExecMainStatus", "")
    if shown.get("ActiveState") == "failed" and code in _SET_UP:
        why, mend = _SET_UP[code]
        return fault("service.state", f"{UNIT} failed with {code}: {why}", mend)
    state = f"{shown.get('ActiveState')} ({shown.get('SubState')}, {shown.get('Result')})"
    return fault("service.state", f"{UNIT} is {state}", f"sudo systemctl restart {UNIT}")
