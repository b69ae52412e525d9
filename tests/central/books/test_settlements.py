"""Flows and sums in the books."""

from agent.central.books import settlements
from agent.central.books.file import FileBooks
from agent.central.books.settlements import Flow, FlowRow, TreasurySum, Unequal

FLOW = Flow("2026 flow", "1", "2026-11-25", 20)
ROW = FlowRow("iuv", "c:1", 20, "paid", "2026-11-23")


def test_a_sum_is_compared_with_the_flow_that_it_names(books: FileBooks) -> None:
    with books.transaction():
        assert settlements.add_flow(books, FLOW, [ROW], "at", "hash")
        assert not settlements.add_flow(books, FLOW, [], "at", "hash")
    assert settlements.unequal_flows(books, "2026-11-25") == []
    assert settlements.unequal_flows(books, "2026-11-26") == [
        Unequal("2026 flow", "2026-11-25", 20, None)
    ]
    with books.transaction():
        for number, cents in (("1", 15), ("2", 5)):
            reason = "/PUR/LGPE-RIVERSAMENTO/URI/2026flow"
            new = TreasurySum(2026, number, "2026-11-26", cents, False, reason)
            settlements.set_sum(books, new)
    assert settlements.unequal_flows(books, "2026-11-26") == []
    assert settlements.arrived_flows(books) == {"2026 flow"}


def test_rows_of_other_services_are_not_missing(books: FileBooks) -> None:
    with books.transaction():
        settlements.add_flow(books, FLOW, [ROW], "at", "hash")
    assert settlements.missing(books) == []
    assert settlements.revoked(books) == []
    assert settlements.flows_of_receipts(books) == {"c:1": "2026 flow"}
