"""Records a trace of every profile with `canteen-agent readers record`, at the tests' far ends.

`python -m tests.parts.record_traces`. No reader was at hand: the far ends speak as documents say.
The trace of a real reader replaces the trace of its profile.
"""

import os
import sys
import tempfile
import time
from pathlib import Path

from agent.readers.keys import Keys
from agent.readers.profile import profiles_dir
from agent.readers.profile_rules import load_profile
from agent.readers.scrub import scrubbed
from agent.readers.trace import Trace, TraceLine, trace_text
from tests.parts.pcsc import Pcscd, VirtualCard
from tests.parts.process import AGENT, Process, wait_for
from tests.parts.serial_line import POLLED, PUSHING, FarEnd, SerialLine

TRACES = Path(__file__).resolve().parent.parent / "traces"
SECONDS = 6
# input-event-codes.h
KEY_CODES = {digit: code for code, digit in enumerate("1234567890", start=2)} | {"\r": 28}


def main() -> int:
    TRACES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        for kind in (*PUSHING, *POLLED):
            serial(folder / kind.profile, kind)
        for path in sorted(profiles_dir().glob("*.toml")):
            if load_profile(path.stem).transport == "pcsc":
                pcsc(folder / path.stem, path.stem)
    keyboard()
    return 0


def configure(folder: Path, reader: str) -> Path:
    """Write an agent.toml with one reader, and return its path."""
    folder.mkdir(parents=True)
    (folder / "key").write_text("00112233445566778899aabbccddeeff", encoding="ascii")
    config = folder / "agent.toml"
    config.write_text(
        'town = "borgofiorito"\nterminal = "t-1"\nstate_dir = "state"\ncard_key_file = "key"\n'
        f'[broker]\nurl = "mqtt://127.0.0.1:1"\n[[reader]]\nname = "counter"\n{reader}',
        encoding="utf-8",
    )
    return config


def serial(
    folder: Path, kind: type[FarEnd], seconds: int = SECONDS, output: Path | None = None
) -> str:
    """Record a serial far end while two cards are held to it; return what the command printed."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    line = SerialLine(folder.parent / f"{kind.profile}.line")
    line.plug()
    config = configure(folder, f'profile = "{kind.profile}"\nport = "{line.path}"\n')
    output = output or TRACES / f"{kind.profile}.trace"
    output.unlink(missing_ok=True)
    command = _record_command(config, seconds, output)
    with kind(line) as far_end, Process(command, folder / "record.log") as process:
        wait_for(lambda: "hold cards" in process.output(), "the recording to begin")
        time.sleep(1)
        line.write(b"\x02noise\x03")
        for uid in far_end.cards:
            time.sleep(0.7)
            far_end.hold(uid)
        wait_for(lambda: not process.is_running, "the recording", seconds + 20)
        printed = process.output()
    line.unplug()
    print(printed.splitlines()[-1])
    return printed


def pcsc(folder: Path, profile_id: str) -> None:
    """Record a virtual PC/SC reader while three cards are held to it."""
    card = VirtualCard()
    output = TRACES / f"{profile_id}.trace"
    output.unlink(missing_ok=True)
    config = configure(folder, f'profile = "{profile_id}"\ndevice = "*"\n')
    command = _record_command(config, SECONDS, output)
    with (
        Pcscd(folder / "pcscd", card.port) as pcscd,
        Process(pcscd.namespace.command(*command), folder / "record.log") as process,
    ):
        wait_for(lambda: "hold cards" in process.output(), "the recording to begin")
        for uid in ("04a1b2c3d4e5f6", "08123456", "1c78f2bf"):
            card.present(bytes.fromhex(uid))
            time.sleep(1.2)
            card.take_away()
            time.sleep(0.5)
        wait_for(lambda: not process.is_running, "the recording", SECONDS + 20)
        print(process.output().splitlines()[-1])


def _record_command(config: Path, seconds: int, output: Path) -> list[str | Path]:
    words: list[str | Path] = [AGENT, "readers", "record", "-c", config]
    return [*words, "--seconds", str(seconds), "-o", output, "counter"]


def keyboard() -> None:
    """Make the trace of a keyboard from key events as the kernel reports them.

    A test machine may have no uinput, so there is no keyboard to record.
    """
    profile = load_profile("keyboard-wedge")
    lines, ms = [TraceLine(0, "open")], 1_000
    keys = Keys()
    for number in ("3220338716", "1002701960", "06547886"):
        for key in number + "\r":
            code = KEY_CODES[key]
            scan, press, release = (4, 4, 458_000 + code), (1, code, 1), (1, code, 0)
            events = (scan, press, (0, 0, 0), release, (0, 0, 0))
            typed = b"".join(keys.typed(*event) for event in events)
            lines.append(TraceLine(ms, "<", typed))
            ms += 8
        ms += 2_000
    remark = f"revision {profile.revision}, sha256 {profile.digest}"
    clean = scrubbed(profile, Trace(profile.id, lines, [remark]), os.urandom(16))
    (TRACES / "keyboard-wedge.trace").write_text(trace_text(clean), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
