"""Every word of the page has an Italian one, and no Italian one is left over."""

import re

import pytest

from agent.screen.app import ROOM
from agent.screen.texts import catalogue


def outcomes_of_the_page() -> set[str]:
    script = (ROOM / "static" / "screen.js").read_text(encoding="utf-8")
    return set(re.findall(r'^  \w+: \["([^"]+)", ', script, re.MULTILINE))


def words_of_the_page() -> set[str]:
    template = (ROOM / "templates" / "screen.html").read_text(encoding="utf-8")
    scripts = sorted((ROOM / "static").glob("*.js"))
    script = "".join(path.read_text(encoding="utf-8") for path in scripts)
    faults = re.findall(r'^  \w+: "([^"]+)",$', script, re.MULTILINE)
    return {
        *faults,
        *re.findall(r'_\("([^"]+)"\)', template),
        *re.findall(r'text\("([^"]+)"\)', script),
        *outcomes_of_the_page(),
    }


def test_every_word_of_the_page_is_translated() -> None:
    assert set(catalogue("it")) == words_of_the_page()
    assert all(catalogue("it").values())


def test_english_is_the_source() -> None:
    assert catalogue("en") == {}


OF_MONEY = re.compile(r"credit|sald|euro|debit|sold|pag[ao]|cost|prezz|ricaric|money|balance|pay")


@pytest.mark.parametrize("language", ["it", "en"])
def test_nobody_at_the_counter_reads_that_it_is_about_money(language: str) -> None:
    """Whatever a light means, children read its word. Only the staff's pages have the credit."""
    words = outcomes_of_the_page()
    assert "Do not serve" in words
    for word in words:
        assert not OF_MONEY.search(catalogue(language).get(word, word).lower())
