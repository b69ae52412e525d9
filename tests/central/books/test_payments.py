"""Payments in the books: keys, states, lists."""

import pytest

from agent.central.books import payments, references
from agent.central.books.file import FileBooks
from agent.central.books.payments import PAYMENT_ROWS_MAX, NewPayment
from agent.central.books.postings import PaymentKey
from agent.central.books.references import Reference
from agent.errors import CentralError


def add(books: FileBooks, external: str, state: str = "parked", reference: str = "iuv") -> int:
    new = NewPayment(PaymentKey("pagopa", external), reference, 20, None)
    return payments.add(books, new, "at", state, "why")


def test_a_channel_has_each_id_once(books: FileBooks) -> None:
    with books.transaction():
        n = add(books, "1")
    stored = payments.find(books, PaymentKey("pagopa", "1"))
    assert stored is not None and stored == payments.find_number(books, n)
    assert stored.key == PaymentKey("pagopa", "1")
    assert payments.find(books, PaymentKey("pos", "1")) is None
    with pytest.raises(CentralError, match="UNIQUE"), books.transaction():
        add(books, "1")


def test_the_credited_payment_of_a_notice_may_name_an_order_of_it(books: FileBooks) -> None:
    with books.transaction():
        references.add(books, Reference("iuv", "n", "iuv", 20, ""))
        references.add(books, Reference("order", None, "iuv", 20, ""))
        add(books, "1", "parked", "iuv")
        assert payments.find_credited(books, "iuv") is None
        n = add(books, "2", "credited", "order")
    credited = payments.find_credited(books, "iuv")
    assert credited is not None and credited.n == n


def test_a_list_has_at_most_payment_rows_max(books: FileBooks) -> None:
    with books.transaction():
        for n in range(PAYMENT_ROWS_MAX + 1):
            add(books, str(n))
    assert len(payments.open_payments(books)) == len(payments.newest(books)) == PAYMENT_ROWS_MAX
    assert payments.newest(books)[0].external == str(PAYMENT_ROWS_MAX)


def test_pending_payments_end_by_channel_and_reference(books: FileBooks) -> None:
    with books.transaction():
        add(books, "1", "pending")
        add(books, "2", "pending", "other")
        payments.close_pending(books, "pagopa", "iuv", "decided")
    assert [payment.external for payment in payments.open_payments(books)] == ["2"]
