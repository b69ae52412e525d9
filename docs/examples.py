"""Prints docs/protocol/examples/: one message of each kind, taken from a real exchange between a terminal and the central.

`python -m docs.examples` writes them. Times and randomness are fixed, so the same program prints the same bytes.
"""

import json
import sys
import tempfile
from pathlib import Path

from tests.parts.wire import Wire

FOLDER = Path(__file__).resolve().parent / "protocol" / "examples"
CARD, UNKNOWN = "a:04a1b2c3d4e5f6", "em:010063e9ae"


def texts() -> dict[Path, str]:
    """Return every example with its text."""
    with tempfile.TemporaryDirectory() as folder:
        wire = Wire(Path(folder))
        wire.central.policy()
        wire.central.add_account("a-1041", cards=(CARD,))
        wire.connect()
        wire.central.credit("a-1041", 2_000, "iuv-1")
        wire.box.tap(CARD)
        wire.box.tap(UNKNOWN)
        wire.box.tap(CARD)
        wire.box.ask("storno")
        wire.box.ask("closing", trays=1)
        wire.settle()
        wire.pass_time(300_000)
        wire.central.exchange.push(wire.clock.instant)
        newest = {
            topic.rpartition("/t/t-1/")[2]: payload
            for topic, payload in wire.log
            if "/t/t-1/" in topic
        }
        answers = [payload for topic, payload in wire.log if topic.endswith("/changes")]
        named = {
            "hello": newest["hello"],
            "entries": max(
                (payload for topic, payload in wire.log if topic.endswith("/entries")), key=len
            ),
            "terminal-state": newest["state"],
            "changes-first": answers[0],
            "changes-after-a-batch": next(payload for payload in answers if b'"notes"' in payload),
            "changes-with-digest": next(
                payload for payload in reversed(answers) if b'"digest"' in payload
            ),
            "central-state": wire.central.exchange.state(wire.clock.instant, online=True).payload,
        }
    return {
        FOLDER / f"{name}.json": json.dumps(json.loads(payload), indent=1, ensure_ascii=False)
        + "\n"
        for name, payload in named.items()
    }


def main(check: bool) -> int:
    printed = texts()
    wrong = [
        path
        for path, text in printed.items()
        if not path.exists() or path.read_text(encoding="utf-8") != text
    ]
    if not check:
        FOLDER.mkdir(parents=True, exist_ok=True)
        for path, text in printed.items():
            path.write_text(text, encoding="utf-8")
        return 0
    for path in wrong:
        print(f"{path.name} is not what an exchange gives; print it anew with: make docs")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main("--check" in sys.argv[1:]))
