"""Notices and orders: random numbers, and who gets the money."""

import secrets

from agent.central.books import references
from agent.central.books.references import Reference
from agent.central.payments.giving_out import ORDER_LENGTH, give_out_order, order_code
from agent.central.payments.numbers import has_check
from tests.parts.wire import Central


def test_a_notice_is_given_out_with_its_shares(central: Central, notice: Reference) -> None:
    assert notice.notice is not None and has_check(notice.notice)
    assert references.find_notice(central.books, notice.notice) == notice
    assert references.shares(central.books, notice.id) == [("a-1", 2_000)]


def test_an_order_pays_its_notice(central: Central, notice: Reference) -> None:
    order = give_out_order(central.books, notice, order_code(secrets.randbelow), "")
    assert (order.root, order.cents, order.notice) == (notice.id, 2_000, None)


def test_codes_of_orders_are_random() -> None:
    codes = {order_code(secrets.randbelow) for _ in range(100)}
    assert len(codes) == 100
    assert all(len(code) == ORDER_LENGTH and code.isalnum() for code in codes)
