"""Records a trace of every profile with `canteen-agent readers record`, at the far ends of the tests: python -m tests.parts.record_traces

No reader was at hand: what the far ends say is from documents. A trace of a real reader takes the place of its profile's.
"""

import os
import sys
import tempfile
import time
from pathlib import Path

from agent.readers.keys import character
from agent.readers.profile import profiles_dir
from agent.readers.profile_rules import load_profile
from agent.readers.trace import Note, Trace, scrubbed, write_trace
from tests.parts.pcsc import Pcscd, VirtualCard
from tests.parts.process import AGENT, Process, wait_for
from tests.parts.serial_line import ASKED, PUSHING, FarEnd, SerialLine

TRACES = Path(__file__).resolve().parent.parent / "traces"
SECONDS = 6
DIGITS = {
    "1": 2,
    "2": 3,
    "3": 4,
    "4": 5,
    "5": 6,
    "6": 7,
    "7": 8,
    "8": 9,
    "9": 10,
    "0": 11,
    "\r": 28,
}  # input-event-codes.h


def main() -> int:
    TRACES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        for kind in (*PUSHING, *ASKED):
            serial(folder / kind.profile, kind)
        for path in sorted(profiles_dir().glob("*.toml")):
            if load_profile(path.stem).transport == "pcsc":
                pcsc(folder / path.stem, path.stem)
    keyboard()
    return 0


def configure(folder: Path, reader: str) -> Path:
    folder.mkdir(parents=True)
    (folder / "key").write_text("00112233445566778899aabbccddeeff", encoding="ascii")
    config = folder / "agent.toml"
    config.write_text(
        f'town = "borgofiorito"\nterminal = "t-1"\nstate_dir = "state"\ncard_key_file = "key"\n[broker]\nurl = "mqtt://127.0.0.1:1"\n'
        f'[[reader]]\nname = "counter"\n{reader}',
        encoding="utf-8",
    )
    return config


def serial(
    folder: Path, kind: type[FarEnd], seconds: int = SECONDS, output: Path | None = None
) -> str:
    """Record a serial far end while two cards are held to it; return what the command said."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    line = SerialLine(folder.parent / f"{kind.profile}.line")
    line.plug()
    config = configure(folder, f'profile = "{kind.profile}"\nport = "{line.path}"\n')
    output = output or TRACES / f"{kind.profile}.trace"
    output.unlink(missing_ok=True)
    command: list[str | Path] = [
        AGENT,
        "readers",
        "record",
        "-c",
        config,
        "--seconds",
        str(seconds),
        "-o",
        output,
        "counter",
    ]
    with kind(line) as far, Process(command, folder / "record.log") as process:
        wait_for(lambda: "hold cards" in process.output(), "the recording to begin")
        time.sleep(1)
        line.write(b"\x02noise\x03")
        for uid in far.cards:
            time.sleep(0.7)
            far.hold(uid)
        wait_for(lambda: not process.is_running, "the recording", seconds + 20)
        said = process.output()
    line.unplug()
    print(said.splitlines()[-1])
    return said


def pcsc(folder: Path, profile_id: str) -> None:
    card = VirtualCard()
    (TRACES / f"{profile_id}.trace").unlink(missing_ok=True)
    config = configure(folder, f'profile = "{profile_id}"\ndevice = "*"\n')
    command: list[str | Path] = [
        AGENT,
        "readers",
        "record",
        "-c",
        config,
        "--seconds",
        str(SECONDS),
        "-o",
        TRACES / f"{profile_id}.trace",
        "counter",
    ]
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


def keyboard() -> None:
    """Make the trace of a keyboard from key events as the kernel gives them: there is no keyboard to be had here."""
    profile = load_profile("keyboard-wedge")
    notes, ms = [Note(0, "open")], 1_000
    for number in ("3220338716", "1002701960", "06547886"):
        for key in number + "\r":
            events = [
                (4, 4, 458_000 + DIGITS[key]),
                (1, DIGITS[key], 1),
                (0, 0, 0),
                (1, DIGITS[key], 0),
                (0, 0, 0),
            ]
            notes.append(Note(ms, "<", b"".join(character(*event) for event in events)))
            ms += 8
        ms += 2_000
    clean = scrubbed(
        profile,
        Trace(profile.id, notes, [f"revision {profile.revision}, sha256 {profile.digest}"]),
        os.urandom(16),
    )
    (TRACES / "keyboard-wedge.trace").write_text(write_trace(clean), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
