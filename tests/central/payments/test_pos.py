"""The virtual POS: MACs, forms before gluing, outcomes."""

import hashlib

import pytest

from agent.central.books.references import Reference
from agent.central.payments.pos import (
    SIGNED,
    Addresses,
    notification_mac,
    order_fields,
    read_notification,
)
from agent.central.payments.reported import Outcome
from agent.central.payments.settings import Pos
from agent.errors import CentralError
from tests.parts.payment_messages import DOOR, SECRET, Notification, notification

PAID = Notification("ORDER1")


def test_an_order_is_signed_over_code_currency_and_amount() -> None:
    order = Reference("ORDER1", None, "iuv", 2_000, "")
    addresses = Addresses("https://t/paid", "https://t/back", "https://t/notify")
    fields = order_fields(order, Pos("A1", "https://bank", "key"), addresses)
    glued = b"codTrans=ORDER1divisa=EURimporto=2000key"
    assert fields["mac"] == hashlib.sha1(glued, usedforsecurity=False).hexdigest()
    assert (fields["alias"], fields["url"], fields["urlpost"]) == ("A1", *addresses[::2])


def test_a_signed_notification_is_a_payment() -> None:
    payment = read_notification(notification(PAID), DOOR)
    assert payment.key == ("pos", "ORDER1")
    assert (payment.reference, payment.cents) == ("ORDER1", 2_000)
    assert payment.paid_at == "2026-11-23T11:01:00.000Z"


@pytest.mark.parametrize(
    ("outcome", "read"),
    [
        ("KO", Outcome.NOT_PAID),
        ("ANNULLO", Outcome.NOT_PAID),
        ("ERRORE", Outcome.NOT_PAID),
        ("PEN", Outcome.UNDECIDED),
    ],
)
def test_every_attempt_has_a_key_of_its_own(outcome: str, read: Outcome) -> None:
    keys = set()
    for time in ("120100", "120200"):
        payment = read_notification(notification(PAID._replace(outcome=outcome, time=time)), DOOR)
        assert payment.outcome is read
        keys.add(payment.key)
    assert len(keys) == 2


@pytest.mark.parametrize("name", SIGNED)
def test_a_changed_field_breaks_the_mac(name: str) -> None:
    fields = notification(PAID)
    changed = {"divisa": "USD", "esito": "KO"}.get(name, fields[name][:-1] + "7")
    with pytest.raises(CentralError, match=r"MAC|another form"):
        read_notification({**fields, name: changed}, DOOR)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("codTrans", "ORDER1esito=OKimporto=1"),
        ("codTrans", "O"),
        ("codTrans", "x" * 31),
        ("importo", "-1"),
        ("importo", "0"),
        ("importo", "02000"),
        ("importo", "20.00"),
        ("importo", "２000"),
        ("codAut", "a b"),
        ("data", "20261123\n"),
        ("esito", "ok"),
        ("divisa", "978"),
    ],
)
def test_a_field_has_its_form_before_it_is_glued(name: str, value: str) -> None:
    """Signed by the bank's own key: the form alone refuses it."""
    fields = {**notification(PAID), name: value}
    fields["mac"] = notification_mac(fields, SECRET)
    with pytest.raises(CentralError, match=f"{name} of a notification"):
        read_notification(fields, DOOR)


@pytest.mark.parametrize("mac", ["", "0" * 40, "é" * 40])
def test_a_mac_that_is_not_the_banks_is_refused(mac: str) -> None:
    with pytest.raises(CentralError, match="is not the bank's"):
        read_notification({**notification(PAID), "mac": mac}, DOOR)


def test_a_missing_field_is_refused_unless_it_may_be_empty() -> None:
    """A form's empty field, as codAut of a refused payment, may be left out on the way."""
    fields = notification(PAID._replace(outcome="KO"))
    del fields["codAut"]
    assert read_notification(fields, DOOR).outcome is Outcome.NOT_PAID
    del fields["importo"]
    with pytest.raises(CentralError, match="importo of a notification is missing"):
        read_notification(fields, DOOR)


def test_a_day_that_does_not_exist_is_refused() -> None:
    fields = {**notification(PAID), "data": "20261341"}
    fields["mac"] = notification_mac(fields, SECRET)
    with pytest.raises(CentralError, match="are no time"):
        read_notification(fields, DOOR)
