"""Prints into docs/contribute/mutants.md the mutants that may survive: `python -m docs.mutants`.

With `--check` nothing is written, and the command ends with 1 when the page differs, or when a
mutant's line is no longer in its file.
"""

import sys

from docs import printed
from tests.mutants.accepted import ACCEPTED

PAGE = printed.ROOT / "docs" / "contribute" / "mutants.md"
BEGIN, END = "<!-- printed by python -m docs.mutants -->", "<!-- end -->"


def text() -> str:
    """Return the accepted mutants, each line with its mutants under the reason."""
    items: dict[tuple[str, str, str], list[str]] = {}
    for one in ACCEPTED:
        items.setdefault((one.file, one.reason, one.was), []).append(one.becomes)
    return "\n\n".join(
        "\n".join((f"`{file}`: {reason}.", "", "```diff", f"- {was}", *_added(mutants), "```"))
        for (file, reason, was), mutants in items.items()
    )


def _added(mutants: list[str]) -> list[str]:
    return [f"+ {mutant}" for mutant in mutants]


def main(*, check: bool) -> int:
    """Write or check the page, and name accepted mutants whose line is gone."""
    gone = [one for one in ACCEPTED if one.was not in (printed.ROOT / one.file).read_text("utf-8")]
    for one in gone:
        print(f"tests/mutants/accepted.py: {one.file} has no line {one.was}")
    page = printed.part(PAGE, BEGIN, END, text())
    return printed.finish({PAGE: page}, check=check) or int(bool(gone))


if __name__ == "__main__":
    sys.exit(main(check=printed.wants_check()))
