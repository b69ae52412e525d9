"""`compute`: read the facts of a rule, let it compute, write its outcome."""

from collections.abc import Callable

from agent.central.books import facts, outcome
from agent.central.books.database import Books
from agent.central.books.facts import Facts, NotRead, Wanted
from agent.central.page import Page
from agent.domain.clock import Instant
from agent.errors import CentralError

ROUNDS_MAX = 1000
"""Reads for one rule. A rule names all that a loop needs before it, so a few suffice."""


def compute(books: Books, at: Instant, wanted: Wanted, rule: Callable[[Page], None]) -> None:
    """Call a rule until it has all its facts, and write its outcome, in the caller's transaction.

    `wanted` is what it needs in any case.

    Raise `CentralError` for a rule that never has enough.
    """
    known = Facts()
    facts.read(books, known, wanted)
    for _ in range(ROUNDS_MAX):
        page = Page(known, at)
        try:
            rule(page)
        except NotRead as missing:
            facts.read(books, known, missing.wanted)
        else:
            outcome.write(books, page.outcome)
            return
    raise CentralError("a rule needs more facts than can be read")
