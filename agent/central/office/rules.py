"""The town's rules and serving times."""

from agent.central.books import rules
from agent.central.books.database import Books
from agent.central.books.rules import Rules
from agent.central.double_meals import settle_from
from agent.domain.canteen import PolicyRecord, ServiceRecord
from agent.domain.clock import Instant


def set_policy(books: Books, policy: PolicyRecord, double_meal: str, *, at: Instant) -> None:
    """Set the rules from the policy's day on.

    Double meals since that day are given back, or not, by the new rule.
    """
    with books.transaction():
        rules.put_policy(books, Rules(policy, double_meal))
        settle_from(books, policy.from_day, at=at)


def set_service(books: Books, site: str, service: ServiceRecord) -> None:
    """Set a serving time of a site."""
    with books.transaction():
        rules.put_service(books, site, service)
