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
    for profile in sorted(
        all_profiles(), key=lambda one: (one.transport, one.device.vendor, one.device.model)
    ):
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
    return ", ".join(SHOWN[name] for name, _ in profile.feedback.named()) or "nothing of ours"


def main(check: bool) -> int:
    text = DOCUMENT.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, found, after = rest.partition(END)
    if not found:
        print(f"docs/READERS.md has no place for the table: {BEGIN} and {END}")
        return 1
    printed = f"{before}{BEGIN}\n\n{table()}\n\n{END}{after}"
    if check:
        if printed != text:
            print("docs/READERS.md is not what the profiles say; print it anew with: make docs")
        return int(printed != text)
    DOCUMENT.write_text(printed, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main("--check" in sys.argv[1:]))
