"""Which page a notice has, by what was paid."""

from contextlib import closing
from pathlib import Path
from typing import get_args

from agent.central.books.payments import Arrival
from agent.central.books.postings import PaymentKey
from agent.central.books.references import Share
from agent.central.payments.giving_out import give_out_notice, give_out_order
from agent.central.payments.intake import take_in
from agent.central.payments.reported import Outcome, ReportedPayment
from agent.central.web.pages import STATUS, View, page_of
from tests.parts.wire import Central, Clock


def test_a_page_follows_the_payments_of_its_notice(tmp_path: Path) -> None:
    central = Central(tmp_path, Clock())
    central.add_account("a-1")
    with closing(central.books) as books:
        notice = give_out_notice(books, "47", [Share("a-1", 20)], lambda _: 5, "")
        give_out_order(books, notice, "O1", "")
        paid = ReportedPayment(PaymentKey("pos", "O1"), "O1", 20)
        attempts = (
            paid._replace(key=PaymentKey("pos", "O1#KO"), outcome=Outcome.NOT_PAID),
            paid._replace(key=PaymentKey("pos", "O1#PEN"), outcome=Outcome.UNDECIDED),
            paid,
        )
        views = [page_of(books, notice).view]
        for reported in attempts:
            take_in(books, reported, Arrival("", b""))
            views.append(page_of(books, notice).view)
    assert views == ["open", "open", "pending", "paid"]


def test_only_views_have_a_status() -> None:
    assert set(STATUS) < set(get_args(View))
