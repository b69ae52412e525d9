"""Prints the table of supported readers into docs/READERS.md, from the profiles: python -m docs.readers [--check]"""

import sys
from pathlib import Path

from agent.readers.profile import Profile
from agent.readers.profile_rules import all_profiles

DOCUMENT = Path(__file__).parent / "READERS.md"
BEGIN, END = "<!-- printed from the profiles by: make docs -->", "<!-- end -->"
SHOWN = {"ok": "served", "again": "already served", "deny": "refused", "busy": "wait"}


def table() -> str:
    lines = ["| reader | profile | speaks | cards | shows | support |", "|---|---|---|---|---|---|"]
    for profile in sorted(all_profiles(), key=lambda one: (one.transport, one.device.vendor, one.device.model)):
        model = profile.device
        cells = (
            f"{model.vendor} {model.model}",
            f"`{profile.id}`",
            profile.transport,
            ", ".join(model.tech),
            shows(profile),
            profile.support,
        )
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def shows(profile: Profile) -> str:
    steps = profile.feedback.steps()
    return ", ".join(word for key, word in SHOWN.items() if getattr(profile.feedback, key) in steps) or "nothing of ours"


def main(check: bool) -> int:
    text = DOCUMENT.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    printed = f"{before}{BEGIN}\n\n{table()}\n\n{END}{after}"
    if check and printed != text:
        print("docs/READERS.md is not what the profiles say; print it anew with: make docs")
        return 1
    DOCUMENT.write_text(printed, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main("--check" in sys.argv[1:]))
