"""Receipts RT 6.2.0: outcomes, rows, envelopes."""

import pytest

from agent.central.payments.old_receipt import ROWS_MAX, read_old_receipt
from agent.central.payments.reported import Outcome, Park
from agent.errors import CentralError
from tests.parts.payment_messages import (
    CREDITOR,
    OTHER_CREDITOR,
    WHOSE,
    OldReceipt,
    old_receipt,
)

PLAIN = OldReceipt("47164923022221054")


def test_a_paid_receipt_has_the_key_of_the_newer_form() -> None:
    payment = read_old_receipt(old_receipt(PLAIN), WHOSE)
    assert payment.key == ("pagopa", f"{CREDITOR}:receipt-1")
    assert (payment.cents, payment.paid_at, payment.fault) == (2_000, "2026-11-23", None)


def test_a_receipt_in_an_envelope_is_read() -> None:
    enveloped = b"<a:ricevuta xmlns:a='urn:x'><b>" + old_receipt(PLAIN) + b"</b></a:ricevuta>"
    assert read_old_receipt(enveloped, WHOSE).cents == 2_000


def test_of_a_receipt_paid_in_part_the_paid_rows_count() -> None:
    partly = PLAIN._replace(outcome="2", total="5.00", rows=("5.00", "0.00"))
    assert read_old_receipt(old_receipt(partly), WHOSE).cents == 500


@pytest.mark.parametrize("outcome", ["1", "3", "4"])
def test_other_outcomes_are_not_paid(outcome: str) -> None:
    failed = PLAIN._replace(outcome=outcome, total="0.00", rows=())
    payment = read_old_receipt(old_receipt(failed), WHOSE)
    assert payment.outcome is Outcome.NOT_PAID and payment.key.external.endswith("#KO")


def test_another_domain_and_another_sum_are_parked() -> None:
    other = read_old_receipt(old_receipt(PLAIN._replace(domain=OTHER_CREDITOR)), WHOSE)
    assert (other.cents, other.fault) == (0, Park.NOT_OURS)
    differs = read_old_receipt(old_receipt(PLAIN._replace(total="21.00")), WHOSE)
    assert differs.fault is Park.PARTS_DIFFER


def test_a_receipt_has_at_most_rows_max() -> None:
    full = PLAIN._replace(total="5.00", rows=("1.00",) * ROWS_MAX)
    assert read_old_receipt(old_receipt(full), WHOSE).cents == 500
    with pytest.raises(CentralError, match=f"more than {ROWS_MAX}"):
        read_old_receipt(old_receipt(full._replace(rows=("1.00",) * (ROWS_MAX + 1))), WHOSE)


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("EsitoPagamento>0", "EsitoPagamento>9", "none of 0 to 4"),
        ("2026-11-23", "yesterday", "is not a day"),
        (">47164923022221054<", "><", "1 to 35 characters"),
        ("Pagato>20.00", "Pagato>0.00", "no single payment is"),
    ],
)
def test_what_has_another_form_is_a_sentence(old: str, new: str, sentence: str) -> None:
    document = old_receipt(PLAIN).decode()
    assert old in document
    with pytest.raises(CentralError, match=sentence):
        read_old_receipt(document.replace(old, new).encode(), WHOSE)


def test_a_document_without_a_receipt_is_refused() -> None:
    with pytest.raises(CentralError, match="0 receipts RT, not 1"):
        read_old_receipt(b"<a/>", WHOSE)
