"""Credits: payments and refunds that the office books by hand."""

from agent.central.books import accounts, postings
from agent.central.books.file import Books
from agent.central.books.postings import Payment, Posting
from agent.domain.clock import Instant
from agent.domain.money import format_euro
from agent.errors import CentralError


def credit(books: Books, payment: Payment, *, at: Instant, reason: str = "") -> bool:
    """Add a payment, or, negative, a refund, to an account.

    Return False if it was booked before: a payment that is reported twice is booked once. Raise
    `CentralError` if its id was booked with another amount or account.
    """
    with books.transaction():
        if accounts.find(books, payment.account) is None:
            raise CentralError(f"account {payment.account!r} does not exist; import it first")
        known = postings.find_payment(books, payment.key)
        if known is None:
            kind = "top_up" if payment.cents >= 0 else "refund"
            posting = Posting(payment.account, payment.cents, kind, at, reason, payment.key)
            postings.post(books, posting)
            return True
    if known != payment:
        channel, external = payment.key
        raise CentralError(
            f"payment {external} of {channel} is already booked, {format_euro(known.cents)} euro"
            f" for account {known.account}; book a correction under an id of its own"
        )
    return False
