"""Prints docs/contribute/planted-faults.md: each fault that is planted to see the doctor name it.

`python -m docs.planted` writes the page, `--check` ends with 1 when it differs, when a check is not
in the doctor's table, when a test does not exist, or when a check's line is executed by no test and
has no reason.
"""

import sys
from collections.abc import Iterator, Sequence

from agent.terminal.doctor.finding import CHECKS
from docs import printed
from tests.debian13.fault import Planted
from tests.debian13.faults import BOOTED, ELSEWHERE, HANDS

PAGE = printed.ROOT / "docs" / "contribute" / "planted-faults.md"
HEAD = """# Planted faults

```
make deb ONLY="build faults"      # plants those of the first table, in a booted Debian 13
.venv/bin/pytest tests/terminal/doctor
```

Each fault is planted, and the doctor must name it with its id.
Then it is mended, and this check of the doctor must have nothing to say any more.
*by its line*: what the doctor prints is executed as it is.
Where that line names FILE, CODE or SITE, the test brings it, as a technician does.
*a hand, then its line*: before that, a person types in the editor, or mends what the hint names.
*by hand*: that line is a person's work, and other commands do it.

{booted} faults are planted in a booted Debian 13, which is central, broker and terminal at once.
{by_line} of them are mended by the line that the doctor prints.
{with_hand} more are mended by a hand and then that line.
{elsewhere} others are planted by tests:

{where}

This page is printed from `tests/debian13/faults.py`, by `python -m docs.planted`.
"""
WORDS = {
    "loopback": "with real parts on loopback",
    "files": "in files that look like a machine's",
    "answer": "as the answer of a program, which the doctor judges",
}
BY_LINE, WITH_HAND, BY_HAND = "by its line", "a hand, then its line", "by hand"


def text() -> str:
    """Return the page."""
    counts = {word: sum(fault.where == word for fault in ELSEWHERE) for word in WORDS}
    mended = [_mended(fault) for fault in BOOTED]
    head = HEAD.format(
        booted=len(BOOTED),
        by_line=mended.count(BY_LINE),
        with_hand=mended.count(WITH_HAND),
        elsewhere=len(ELSEWHERE),
        where="\n".join(f"* {counts[word]} {words}" for word, words in WORDS.items()),
    )
    booted = [(fault.how, f"`{fault.check}`", _mended(fault)) for fault in BOOTED]
    elsewhere = [(fault.how, f"`{fault.check}`", fault.where) for fault in ELSEWHERE]
    hands = [(f"`{check}`", why) for check, why in HANDS.items()]
    return (
        f"{head}\n## In a booted Debian 13\n\n{_table(('fault', 'check', 'mended'), booted)}"
        f"\n## Elsewhere\n\n{_table(('fault', 'check', 'where'), elsewhere)}"
        f"\n## Checks whose line no test executes\n\n{_table(('check', 'why'), hands)}"
    )


def _mended(fault: Planted) -> str:
    """Return how a fault is mended, in a word of the page."""
    return BY_HAND if fault.mend else WITH_HAND if fault.hand else BY_LINE


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines).replace(" --- ", "---")


def complaints() -> Iterator[str]:
    """Yield what is wrong with the table."""
    for fault in (*BOOTED, *ELSEWHERE):
        if fault.check not in CHECKS:
            yield f"planted fault: {fault.how}: the doctor has no check {fault.check}"
    for tested in ELSEWHERE:
        file, _, name = tested.test.partition("::")
        if f"def {name}(" not in (printed.ROOT / file).read_text(encoding="utf-8"):
            yield f"planted fault: {tested.how}: {tested.test} does not exist"
    executed = {fault.check for fault in BOOTED if not fault.mend}
    for check in sorted(CHECKS.keys() ^ (executed | HANDS.keys())):
        yield f"planted fault: {check}: no test executes its line, and HANDS has no reason"
    for check in sorted(executed & HANDS.keys()):
        yield f"planted fault: {check}: its line is executed, and HANDS has a reason why not"


def main(check: bool) -> int:
    """Write the page, or check it."""
    wrong = list(complaints())
    for complaint in wrong:
        print(complaint)
    return printed.finish({PAGE: text()}, check=check) or int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main(printed.wants_check()))
