"""Money is whole cents in an `int`, never a float. Texts of it are read and written here only."""

import re

from agent.errors import AgentError

_EURO = re.compile(r"(?P<sign>-?)(?P<euro>\d{1,7})(?:[.,](?P<cents>\d{2}))?", re.ASCII)


def parse_euro(text: str) -> int:
    """Return the cents of `3`, `3.66`, `3,66` or `-3.66`.

    Raise `AgentError` for any other text: `3.6` may be a typing mistake.
    """
    match = _EURO.fullmatch(text.strip())
    if match is None:
        raise AgentError(f"{text.strip()!r} is not an amount in euro; write it as 3.66")
    cents = int(match["euro"]) * 100 + int(match["cents"] or 0)
    return -cents if match["sign"] else cents


def format_euro(cents: int) -> str:
    """Return cents as euro with two decimals: -366 is `-3.66`."""
    whole, rest = divmod(abs(cents), 100)
    return f"{'-' if cents < 0 else ''}{whole}.{rest:02d}"
