"""Prints the table of supported readers into docs/operate/readers.md, from the profiles.

`python -m docs.readers` writes it; `--check` ends with 1 when the page has another table.
"""

import sys

from agent.readers.profile import Profile
from agent.readers.profile_rules import all_profiles
from docs import printed

PAGE = printed.ROOT / "docs" / "operate" / "readers.md"
BEGIN, END = "<!-- printed by python -m docs.readers -->", "<!-- end -->"
SIGNALS = {"ok": "served", "again": "already served", "deny": "refused", "busy": "wait"}
COLUMNS = ("reader", "profile", "transport", "cards", "signals", "support")


def table() -> str:
    """Return the table, one row for each profile."""
    lines = [f"| {' | '.join(COLUMNS)} |", "|---" * len(COLUMNS) + "|"]
    for profile in sorted(all_profiles(), key=_order):
        cells = (
            f"{profile.device.vendor} {profile.device.model}",
            f"`{profile.id}`",
            profile.transport,
            ", ".join(profile.device.tech),
            signals(profile),
            profile.support,
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def signals(profile: Profile) -> str:
    """Return what a reader of this model can show, in the words of the signals."""
    return ", ".join(SIGNALS[name] for name, _ in profile.feedback.named()) or "none"


def _order(profile: Profile) -> tuple[str, ...]:
    return profile.transport, profile.device.vendor, profile.device.model


def main(check: bool) -> int:
    return printed.finish({PAGE: printed.part(PAGE, BEGIN, END, table())}, check=check)


if __name__ == "__main__":
    sys.exit(main(printed.wants_check()))
