"""Writes pages that the program prints, or checks that a page is what it would print now."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def part(page: Path, begin: str, end: str, text: str) -> str:
    """Return a page with `text` between two lines. Raise `ValueError` where one is missing."""
    before, first, rest = page.read_text(encoding="utf-8").partition(begin)
    _, last, after = rest.partition(end)
    if not first or not last:
        raise ValueError(f"{page.relative_to(ROOT)}: has no lines {begin} and {end}")
    return f"{before}{begin}\n\n{text.strip()}\n\n{end}{after}"


def finish(pages: dict[Path, str], *, check: bool) -> int:
    """Write the pages and return 0.

    With `check` write nothing, name each page that differs, and return 1 if there is one.
    """
    differing = [page for page, text in pages.items() if _text(page) != text]
    for page in differing:
        if check:
            print(f"{page.relative_to(ROOT)}: is not what the program prints; run: make docs")
            continue
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(pages[page], encoding="utf-8")
    return int(check and bool(differing))


def wants_check() -> bool:
    """Return whether the command line says `--check`."""
    return "--check" in sys.argv[1:]


def _text(page: Path) -> str | None:
    return page.read_text(encoding="utf-8") if page.exists() else None
