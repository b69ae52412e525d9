"""Every word of the page has an Italian one, and no Italian one is left over."""

import re

from agent.screen.app import ROOM
from agent.screen.texts import catalogue


def words_of_the_page() -> set[str]:
    template = (ROOM / "templates" / "screen.html").read_text(encoding="utf-8")
    scripts = sorted((ROOM / "static").glob("*.js"))
    script = "".join(path.read_text(encoding="utf-8") for path in scripts)
    outcomes = re.findall(r'^  \w+: \["([^"]+)", ', script, re.MULTILINE)
    faults = re.findall(r'^  \w+: "([^"]+)",$', script, re.MULTILINE)
    return {
        *faults,
        *re.findall(r'_\("([^"]+)"\)', template),
        *re.findall(r'text\("([^"]+)"\)', script),
        *outcomes,
    }


def test_every_word_of_the_page_is_translated() -> None:
    assert set(catalogue("it")) == words_of_the_page()
    assert all(catalogue("it").values())


def test_english_is_the_source() -> None:
    assert catalogue("en") == {}
