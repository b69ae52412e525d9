"""Every word of the page has an Italian one, and no Italian one is left over."""

import re

from agent.central.web.pages import ROOM
from agent.central.web.texts import catalogue, euro


def test_every_word_of_the_page_is_translated() -> None:
    template = (ROOM / "templates" / "page.html").read_text(encoding="utf-8")
    assert set(catalogue("it")) == set(re.findall(r'_\("([^"]+)"\)', template))
    assert all(catalogue("it").values())
    assert catalogue("en") == {}


def test_amounts_are_written_as_people_of_a_language_do() -> None:
    assert (euro(2_005, "it"), euro(2_005, "en")) == ("20,05 €", "€20.05")
