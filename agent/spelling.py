"""Words that a person probably meant, for the end of an error's sentence."""

import difflib
from collections.abc import Iterable


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return `; did you mean 'lunch'?` for a word near a known one, else nothing.

    Capitals do not count: `Primaria` is near `primaria`.
    """
    names = {name.lower(): name for name in known}
    close = difflib.get_close_matches(word.lower(), names, n=1)
    return f"; did you mean {names[close[0]]!r}?" if close else ""
