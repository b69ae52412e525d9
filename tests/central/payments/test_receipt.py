"""Receipts of the node: forms, our part of them, and the answer."""

import pytest

from agent.central.payments.receipt import (
    ID_LENGTH_MAX,
    NAMESPACE,
    TRANSFERS_MAX,
    Fault,
    answer,
    cents_of,
    instant_of,
    is_school_meals,
    read_receipt,
)
from agent.central.payments.reported import Outcome, Park
from agent.central.payments.xml import child, namespace, parse, text
from agent.errors import CentralError
from tests.parts.payment_messages import (
    CREDITOR,
    OTHER_CREDITOR,
    WHOSE,
    Receipt,
    Transfer,
    default_namespace_receipt,
    soap_receipt,
)

IUV = "47164923022221054"
PLAIN = Receipt(IUV)


@pytest.mark.parametrize("write", [soap_receipt, default_namespace_receipt])
@pytest.mark.parametrize(
    ("request_name", "response"),
    [("paSendRTReq", "paSendRTRes"), ("paSendRTV2Request", "paSendRTV2Response")],
)
def test_both_requests_are_read_with_any_prefix(
    write: object, request_name: str, response: str
) -> None:
    assert callable(write)
    message = read_receipt(write(PLAIN, request_name), WHOSE)
    assert (message.response, message.id_pa) == (response, CREDITOR)
    payment = message.payment
    assert payment.key == ("pagopa", f"{CREDITOR}:receipt-1")
    assert (payment.reference, payment.cents, payment.fault) == (IUV, 2_000, None)
    assert payment.paid_at == "2026-11-23T11:01:00.000Z"


@pytest.mark.parametrize(
    ("total", "transfers", "cents", "fault"),
    [
        ("30.00", (Transfer("20.00"), Transfer("10.00", OTHER_CREDITOR)), 2_000, None),
        ("30.00", (Transfer("20.00"), Transfer("10.00", category="9/0101100IM/")), 2_000, None),
        ("20.00", (Transfer("12.50"), Transfer("7.50")), 2_000, None),
        ("20.00", (Transfer("20.00", OTHER_CREDITOR),), 0, Park.NOT_OURS),
        ("21.50", (Transfer("20.00"),), 2_000, Park.PARTS_DIFFER),
    ],
)
def test_our_part_is_credited_and_no_more(
    total: str, transfers: tuple[Transfer, ...], cents: int, fault: Park | None
) -> None:
    receipt = PLAIN._replace(total=total, transfers=transfers)
    payment = read_receipt(soap_receipt(receipt), WHOSE).payment
    assert (payment.cents, payment.fault) == (cents, fault)


def test_a_receipt_of_an_attempt_that_failed_has_a_key_of_its_own() -> None:
    payment = read_receipt(soap_receipt(PLAIN._replace(outcome="KO")), WHOSE).payment
    assert payment.outcome is Outcome.NOT_PAID
    assert payment.key.external == f"{CREDITOR}:receipt-1#KO"


def test_a_receipt_has_at_most_transfers_max() -> None:
    transfers = (Transfer("1.00"),) * (TRANSFERS_MAX + 1)
    whole = PLAIN._replace(total="5.00", transfers=transfers[1:])
    assert read_receipt(soap_receipt(whole), WHOSE).payment.cents == 500
    for wrong in (transfers, ()):
        with pytest.raises(CentralError, match="transfers, not 1 to 5"):
            read_receipt(soap_receipt(whole._replace(transfers=wrong)), WHOSE)


def test_a_receipts_id_has_at_most_id_length_max() -> None:
    longest = PLAIN._replace(receipt="x" * ID_LENGTH_MAX)
    assert read_receipt(soap_receipt(longest), WHOSE).payment.key.external.endswith("x")
    for wrong in ("x" * (ID_LENGTH_MAX + 1), "", "a\x85b"):
        with pytest.raises(CentralError, match="receiptId"):
            read_receipt(soap_receipt(PLAIN._replace(receipt=wrong)), WHOSE)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (NAMESPACE, "urn:other"),
        ("paSendRTReq", "paDemandPaymentNoticeRequest"),
        ("<outcome>OK", "<outcome>ok"),
        ("20.00</paymentAmount", "20,00</paymentAmount"),
        ("20.00</paymentAmount", "20.0</paymentAmount"),
        ("20.00</paymentAmount", "-20.00</paymentAmount"),
        ("20.00</transferAmount", "2e1</transferAmount"),
        ("2026-11-23T12:01:00", "noon"),
        ("2026-11-23T12:01:00", "0001-01-01T00:00:00"),
        (f"<idPA>{CREDITOR}", "<idPA>8001234567"),
        (f"<creditorReferenceId>{IUV}", "<creditorReferenceId>" + "1" * 36),
        (f"<creditorReferenceId>{IUV}</creditorReferenceId>", ""),
        ("<receipt>", "<receipt/><receipt>"),
        ("<s:Body>", "<s:Body><x/>"),
    ],
)
def test_what_has_another_form_is_a_sentence(old: str, new: str) -> None:
    document = soap_receipt(PLAIN).decode()
    assert old in document
    with pytest.raises(CentralError):
        read_receipt(document.replace(old, new).encode(), WHOSE)


def test_times_without_zone_are_the_towns() -> None:
    assert instant_of("2026-07-01T12:00:00.5", WHOSE.zone) == "2026-07-01T10:00:00.500Z"
    assert instant_of("2026-07-01T12:00:00Z", WHOSE.zone) == "2026-07-01T12:00:00.000Z"


@pytest.mark.parametrize("category", ["9/0107101TS/", "6/0107101TS/", "0107101TS", "7/0107101TS"])
def test_the_middle_part_of_the_taxonomy_decides(category: str) -> None:
    assert is_school_meals(category)


@pytest.mark.parametrize("category", ["", "9/0107101TSX/", "5/0107101TS/", "9/0101100IM/"])
def test_other_taxonomies_are_no_school_meals(category: str) -> None:
    assert not is_school_meals(category)


def test_amounts_are_cents_without_rounding() -> None:
    assert cents_of("999999999.99", "x") == 99_999_999_999
    with pytest.raises(CentralError, match="x is not an amount"):
        cents_of("1٢.00", "x")


@pytest.mark.parametrize("fault", [None, *Fault])
def test_an_answer_is_soap(fault: Fault | None) -> None:
    body = child(parse(answer("paSendRTV2Response", fault, CREDITOR)), "Body")
    response = child(body, "paSendRTV2Response")
    assert namespace(response) == NAMESPACE
    assert text(response, "outcome") == ("KO" if fault else "OK")
    if fault:
        assert text(child(response, "fault"), "faultCode") == fault
        assert text(child(response, "fault"), "id") == CREDITOR
