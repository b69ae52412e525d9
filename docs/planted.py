"""Prints docs/contribute/planted-faults.md: each fault that is planted to see the doctor name it.

`python -m docs.planted` writes the page, `--check` ends with 1 when it differs, when a check is not
in the doctor's table, or when a test does not exist.
"""

import sys
from collections.abc import Iterator

from agent.terminal.doctor.finding import CHECKS
from docs import printed
from tests.debian13.faults import BOOTED, ELSEWHERE

PAGE = printed.ROOT / "docs" / "contribute" / "planted-faults.md"
HEAD = """# Planted faults

```
make deb ONLY="build boot"      # plants those of the first table, in a booted Debian 13
.venv/bin/pytest tests/terminal/doctor
```

Each fault is planted, and the doctor must name it with its id.
Then it is mended, and the doctor must not name it any more.
*by its line*: what the doctor prints is executed as it is.
Where that line names FILE, there is such a file.
*by hand*: that line is a person's work, and other commands do it.

{booted} faults are planted in a booted Debian 13.
{by_line} of them are mended by the line that the doctor prints.
{elsewhere} more are planted by tests:

{where}

This page is printed from `tests/debian13/faults.py`, by `python -m docs.planted`.
"""
WORDS = {
    "loopback": "with real parts on loopback",
    "files": "in files that look like a machine's",
    "answer": "as the answer of a program, which the doctor judges",
}


def text() -> str:
    """Return the page."""
    counts = {word: sum(fault.where == word for fault in ELSEWHERE) for word in WORDS}
    head = HEAD.format(
        booted=len(BOOTED),
        by_line=sum(not fault.mend for fault in BOOTED),
        elsewhere=len(ELSEWHERE),
        where="\n".join(f"* {counts[word]} {words}" for word, words in WORDS.items()),
    )
    booted = "".join(
        f"| {fault.how} | `{fault.check}` | {'by hand' if fault.mend else 'by its line'} |\n"
        for fault in BOOTED
    )
    elsewhere = "".join(
        f"| {fault.how} | `{fault.check}` | {fault.where} |\n" for fault in ELSEWHERE
    )
    return (
        f"{head}\n## In a booted Debian 13\n\n| fault | check | mended |\n|---|---|---|\n{booted}"
        f"\n## Elsewhere\n\n| fault | check | where |\n|---|---|---|\n{elsewhere}"
    )


def complaints() -> Iterator[str]:
    """Yield what is wrong with the table."""
    for fault in (*BOOTED, *ELSEWHERE):
        if fault.check not in CHECKS:
            yield f"planted fault: {fault.how}: the doctor has no check {fault.check}"
    for tested in ELSEWHERE:
        file, _, name = tested.test.partition("::")
        if f"def {name}(" not in (printed.ROOT / file).read_text(encoding="utf-8"):
            yield f"planted fault: {tested.how}: {tested.test} does not exist"


def main(check: bool) -> int:
    """Write the page, or check it."""
    wrong = list(complaints())
    for complaint in wrong:
        print(complaint)
    return printed.finish({PAGE: text()}, check=check) or int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main(printed.wants_check()))
