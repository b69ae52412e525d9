"""Labels: a pupil's short name leaves the central only while the policy says `labels: short`."""

from agent.central.books import accounts, rules, town
from agent.central.books.database import Books
from agent.domain.clock import Day


def apply_label_rule(books: Books, today: Day) -> None:
    """Send labels, or stop sending them, by today's policy; a change sends every account again."""
    wanted = rules.rules_on(books, today).policy.labels == "short"
    if wanted != town.sends_labels(books):
        town.set_labels(books, wanted)
        accounts.bump_all(books)
