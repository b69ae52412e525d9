"""Credits: the path on which every payment reaches an account, and those booked by hand."""

from typing import NamedTuple

from agent.central.books import accounts, payments, postings
from agent.central.books.database import Books
from agent.central.books.postings import Payment, PaymentKey, Posting
from agent.domain.clock import Instant
from agent.domain.money import format_euro
from agent.errors import CentralError


class Credit(NamedTuple):
    """Money for an account, or, negative, paid back. `kind` is that of its posting."""

    payment: Payment
    kind: str
    reason: str


class Transfer(NamedTuple):
    """Money that moves from an account to another, of the same family unless `to_any_family`."""

    source: str
    target: str
    cents: int
    key: PaymentKey
    to_any_family: bool = False


def credit(books: Books, payment: Payment, *, at: Instant, reason: str = "") -> bool:
    """Add a payment, or, negative, a refund, to an account.

    Return False if it was booked before: a payment that is reported twice is booked once. Raise
    `CentralError` if its id was booked with another amount or account, or waits for the office.
    """
    with books.transaction():
        require_account(books, payment.account)
        known = postings.find_payment(books, payment.key)
        if known is None:
            require_unreported(books, payment.key)
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


def transfer(books: Books, move: Transfer, *, at: Instant, reason: str = "") -> bool:
    """Move money from an account to another, in one transaction.

    Return False if it was booked before. Raise `CentralError` if its id was booked with something
    else, if the balance does not cover it, or if the accounts are of two families.
    """
    parts = [
        Payment(move.source, -move.cents, move.key),
        Payment(move.target, move.cents, move.key),
    ]
    with books.transaction():
        for account in (move.source, move.target):
            require_account(books, account)
        known = postings.find_payments(books, move.key)
        if known and sorted(known) != sorted(parts):
            raise CentralError(
                f"id {move.key.external} of {move.key.channel} is already booked with another"
                " amount or account; give this transfer an id of its own"
            )
        if known:
            return False
        _require_transferable(books, move)
        for part in parts:
            post_credit(books, Credit(part, "transfer", reason), at=at)
    return True


def post_credit(books: Books, new: Credit, *, at: Instant) -> None:
    """Book a credit in the present transaction: the terminals of its site get the balance."""
    payment = new.payment
    posting = Posting(payment.account, payment.cents, new.kind, at, new.reason, payment.key)
    postings.post(books, posting)


def require_account(books: Books, account: str) -> None:
    """Raise `CentralError` for an account that does not exist."""
    if accounts.find(books, account) is None:
        raise CentralError(f"account {account!r} does not exist; import it first")


def require_unreported(books: Books, key: PaymentKey) -> None:
    """Raise `CentralError` for the id of a payment that a door reported.

    If it waits, it could be booked once by hand and once more when it is assigned.
    """
    if (stored := payments.find(books, key)) is not None:
        raise CentralError(
            f"payment {key.external} of {key.channel} was reported, and is {stored.state}: see"
            f" number {stored.n} of canteen-central payments; a correction needs an id of its own"
        )


def _require_transferable(books: Books, move: Transfer) -> None:
    source, target = accounts.find(books, move.source), accounts.find(books, move.target)
    assert source is not None and target is not None
    if source == target:
        raise CentralError(f"account {source.id} cannot transfer to itself; name two accounts")
    # Two accounts without a family are fine: a town may not keep families.
    if source.family != target.family and not move.to_any_family:
        raise CentralError(
            f"accounts {source.id} and {target.id} are of two families;"
            " if that is right, add --any-family"
        )
    balance = accounts.balance_cents(books, source.id)
    if not 0 < move.cents <= balance:
        raise CentralError(
            f"account {source.id} has {format_euro(balance)} euro,"
            f" {format_euro(move.cents)} cannot be taken from it"
        )
