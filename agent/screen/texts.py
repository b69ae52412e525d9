"""The page's words in Italian and English, from gettext catalogues. English is the source."""

from functools import cache
from pathlib import Path

from babel.messages.pofile import read_po

from agent.ops.screen_settings import Language

LOCALE = Path(__file__).parent / "locale"


@cache
def catalogue(language: Language) -> dict[str, str]:
    """Return the words of a language by their English ones; empty for English."""
    path = LOCALE / f"{language}.po"
    if not path.exists():
        return {}
    with open(path, "rb") as file:
        messages = read_po(file)
    return {str(message.id): str(message.string) for message in messages if message.id}
