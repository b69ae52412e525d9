"""Settlement flows: rows, signs, totals."""

import pytest

from agent.central.payments.settlement import FLOW_BYTES_MAX, read_flow
from agent.errors import CentralError
from tests.parts.payment_messages import CREDITOR, OTHER_CREDITOR
from tests.parts.settlement_messages import FLOW_ID, FlowMessage, Row, flow_message

PLAIN = FlowMessage((Row("iuv-1"), Row("iuv-2", "receipt-2", "5.50", "9")))


def test_a_row_has_the_key_of_its_receipt() -> None:
    flow, rows = read_flow(flow_message(PLAIN), CREDITOR)
    assert (flow.id, flow.day, flow.cents) == (FLOW_ID, "2026-11-25", 2_550)
    assert rows[0] == ("iuv-1", f"{CREDITOR}:receipt-1", 2_000, "paid", "2026-11-23")
    assert rows[1].cents == 550


@pytest.mark.parametrize(("euro", "total"), [("-20.00", None), ("20.00", None), ("20.00", "0.00")])
def test_a_revoked_row_reverses_the_absolute_amount(euro: str, total: str | None) -> None:
    rows = (Row("iuv-1"), Row("iuv-2", "receipt-2", euro, "3"))
    flow, read = read_flow(flow_message(FlowMessage(rows, total=total)), CREDITOR)
    assert (read[1].cents, read[1].outcome, flow.cents) == (2_000, "revoked", 0)


@pytest.mark.parametrize("outcome", ["0", "4", "8", "9"])
def test_other_outcomes_are_paid(outcome: str) -> None:
    _, rows = read_flow(flow_message(FlowMessage((Row("i", outcome=outcome),))), CREDITOR)
    assert rows[0].outcome == "paid"


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (PLAIN._replace(total="25.51"), "do not sum"),
        (PLAIN._replace(number=3), "numeroTotalePagamenti differs"),
        (PLAIN._replace(receiver=OTHER_CREDITOR), "another creditor"),
        (PLAIN._replace(flow=""), "1 to 100 characters"),
        (FlowMessage((Row("i", outcome="7"),)), "none of 0, 3, 4, 8, 9"),
        (FlowMessage((Row("i", euro="-1.00"),), total="1.00"), "negative amount"),
        (FlowMessage((Row("i", euro="1.000"),), total="1.00"), "is not an amount"),
    ],
)
def test_a_wrong_flow_is_refused_whole(wrong: FlowMessage, sentence: str) -> None:
    with pytest.raises(CentralError, match=sentence):
        read_flow(flow_message(wrong), CREDITOR)


def test_a_flow_has_at_most_flow_bytes_max() -> None:
    with pytest.raises(CentralError, match=f"more than {FLOW_BYTES_MAX}"):
        read_flow(b" " * (FLOW_BYTES_MAX + 1), CREDITOR)


def test_another_document_is_refused() -> None:
    with pytest.raises(CentralError, match="0 flows"):
        read_flow(b"<a/>", CREDITOR)
    late = flow_message(PLAIN).replace(b">2026-11-25</dataR", b">25.11.2026</dataR")
    with pytest.raises(CentralError, match="dataRegolamento is not a day"):
        read_flow(late, CREDITOR)
