"""The outcomes of the staff's page as its script has them: words in Italian, shape, tones."""

import json
import re
from functools import cache
from typing import NamedTuple

from agent.screen.app import ROOM
from agent.screen.texts import catalogue

_OUTCOME = re.compile(r'^  (?P<word>\w+): (?P<shown>\["[^"]+", "[^"]+", \[.*\]\]),$', re.MULTILINE)


class PageOutcome(NamedTuple):
    """What the page shows and sounds for an outcome. A tone is its hertz and its seconds."""

    words: str
    shape: str
    tones: tuple[tuple[float, float], ...]


@cache
def page_outcomes() -> dict[str, PageOutcome]:
    """Return the outcomes by the word that a terminal sends."""
    script = (ROOM / "static" / "screen.js").read_text(encoding="utf-8")
    outcomes = {}
    for match in _OUTCOME.finditer(script):
        english, shape, tones = json.loads(re.sub(r"(?<=\s)\.", "0.", match["shown"]))
        outcomes[match["word"]] = PageOutcome(
            catalogue("it")[english], shape, tuple((hertz, seconds) for hertz, seconds in tones)
        )
    return outcomes
