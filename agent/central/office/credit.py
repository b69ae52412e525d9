"""Credits: the path on which every payment reaches an account, and those booked by hand."""

from typing import NamedTuple

from agent.central.books import accounts, postings
from agent.central.books.file import Books
from agent.central.books.postings import Payment, Posting
from agent.domain.clock import Instant
from agent.domain.money import format_euro
from agent.errors import CentralError


class Credit(NamedTuple):
    """Money for an account, or, negative, paid back. `kind` is that of its posting."""

    payment: Payment
    kind: str
    reason: str


def credit(books: Books, payment: Payment, *, at: Instant, reason: str = "") -> bool:
    """Add a payment, or, negative, a refund, to an account.

    Return False if it was booked before: a payment that is reported twice is booked once. Raise
    `CentralError` if its id was booked with another amount or account.
    """
    with books.transaction():
        require_account(books, payment.account)
        known = postings.find_payment(books, payment.key)
        if known is None:
            kind = "top_up" if payment.cents >= 0 else "refund"
            post_credit(books, Credit(payment, kind, reason), at=at)
            return True
    if known != payment:
        channel, external = payment.key
        raise CentralError(
            f"payment {external} of {channel} is already booked, {format_euro(known.cents)} euro"
            f" for account {known.account}; book a correction under an id of its own"
        )
    return False


def post_credit(books: Books, new: Credit, *, at: Instant) -> None:
    """Book a credit in the present transaction: the terminals of its site get the balance."""
    payment = new.payment
    posting = Posting(payment.account, payment.cents, new.kind, at, new.reason, payment.key)
    postings.post(books, posting)


def require_account(books: Books, account: str) -> None:
    """Raise `CentralError` for an account that does not exist."""
    if accounts.find(books, account) is None:
        raise CentralError(f"account {account!r} does not exist; import it first")
