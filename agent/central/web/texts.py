"""The pages' words in Italian and English, from gettext catalogues. English is the source."""

from functools import cache
from pathlib import Path

from babel.messages.pofile import read_po

from agent.central.payments.settings import Language

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


def euro(cents: int, language: Language) -> str:
    """Return an amount as people of a language write it."""
    text = f"{cents // 100}.{cents % 100:02d}"
    return f"{text.replace('.', ',')} €" if language == "it" else f"€{text}"
