"""The doors and pages over real HTTP, in a process of their own."""

import asyncio
import sqlite3
import urllib.request
from contextlib import closing

import pytest

from agent.central.books.accounts import balance_cents
from agent.central.books.file import FileBooks
from agent.central.payments.settings import Pos, load_settings
from agent.central.payments.xml import DOCUMENT_BYTES_MAX
from agent.central.web.app import ORDERS_MAX, Doors, security
from agent.central.web.rate import REQUESTS_MAX
from agent.errors import CentralError
from tests.parts.asgi import request
from tests.parts.bank import Answer, answer_to, get, post
from tests.parts.pay_site import PaySite
from tests.parts.payment_messages import (
    Notification,
    Receipt,
    default_namespace_receipt,
    form,
    notification,
    soap_receipt,
)

AT = "2026-11-23T11:05:00.000Z"
FORM = "application/x-www-form-urlencoded"


def pay(site: PaySite, notice: dict[str, str], word: str) -> Answer:
    """Pay as a browser does: the notice's button, the bank's link, the way back."""
    get_bank = post(f"{notice['link']}/pay", b"", FORM)
    assert get_bank.url.startswith(site.bank.url), get_bank
    return get(f"{site.bank.url.removesuffix('/pay')}/{word}?order={len(site.bank.orders) - 1}")


def test_a_receipt_is_taken_over_http_and_its_repetition_too(
    site: PaySite, books: FileBooks
) -> None:
    notice = site.notice("a-1001=20.00")
    for data in (soap_receipt(Receipt(notice["iuv"])),) * 2:
        answer = post(f"{site.url}/pagopa", data)
        assert answer.status == 200 and "<outcome>OK</outcome>" in answer.text
        assert answer.headers["content-type"].startswith("text/xml")
    answer = post(f"{site.url}/pagopa", default_namespace_receipt(Receipt(notice["iuv"])))
    assert "paSendRTV2Response><outcome>OK" in answer.text
    assert balance_cents(books, "a-1001") == 2_000
    assert "Pagato" in get(notice["link"]).text


def test_a_body_is_refused_before_it_is_read(site: PaySite) -> None:
    answer = post(f"{site.url}/pagopa", b" " * (DOCUMENT_BYTES_MAX + 1))
    assert answer.status == 413
    assert post(f"{site.url}/bank/notify", b"a" * 20_000, FORM).status == 400


@pytest.mark.parametrize("times", [1, 2])
def test_a_payment_at_the_bank_is_a_credit_however_often_it_is_notified(
    site: PaySite, books: FileBooks, times: int
) -> None:
    site.bank.times = times
    notice = site.notice("a-1001=20.00")
    answer = pay(site, notice, "OK")
    assert answer.url.startswith(notice["link"])
    assert "Pagato. Il credito è sulla tessera." in answer.text
    assert site.bank.notified == [200] * times
    assert balance_cents(books, "a-1001") == 2_000


def test_the_browsers_return_alone_is_enough(site: PaySite, books: FileBooks) -> None:
    site.bank.browser_only = True
    pay(site, site.notice("a-1001=20.00"), "OK")
    assert balance_cents(books, "a-1001") == 2_000


def test_a_payment_that_failed_can_be_tried_again(site: PaySite, books: FileBooks) -> None:
    notice = site.notice("a-1001=20.00")
    assert "Paga presso la banca" in pay(site, notice, "KO").text
    assert "Paga presso la banca" in pay(site, notice, "back").text
    assert "La banca non ha ancora deciso" in pay(site, notice, "PEN").text
    last = site.bank.orders[-1]
    site.bank.decide("OK", str(len(site.bank.orders) - 1))
    assert balance_cents(books, "a-1001") == int(last["importo"])
    again = post(f"{notice['link']}/pay", b"", FORM)
    assert again.url.startswith(notice["link"]) and "Pagato" in again.text


def test_a_wrong_signature_changes_nothing(site: PaySite, books: FileBooks) -> None:
    notice = site.notice("a-1001=20.00")
    post(f"{notice['link']}/pay", b"", FORM)
    code = site.bank.orders[-1]["codTrans"]
    forged = {**notification(Notification(code)), "mac": "0" * 40}
    assert post(f"{site.url}/bank/notify", form(forged), FORM).status == 400
    answer = get(f"{site.url}/bank/return?{form(forged).decode()}")
    assert answer.status == 400 and "non è della banca" in answer.text
    double = form(notification(Notification(code))) + b"&importo=1"
    assert post(f"{site.url}/bank/notify", double, FORM).status == 400
    assert balance_cents(books, "a-1001") == 0


def test_a_signed_notification_of_an_unknown_order_is_taken_and_parked(site: PaySite) -> None:
    fields = form(notification(Notification("NOBODY")))
    assert post(f"{site.url}/bank/notify", fields, FORM).status == 200
    assert get(f"{site.url}/bank/return?{fields.decode()}").status == 400


def test_while_the_books_are_locked_the_bank_is_answered_that_it_must_send_again(
    site: PaySite, books: FileBooks
) -> None:
    notice = site.notice("a-1001=20.00")
    post(f"{notice['link']}/pay", b"", FORM)
    body = form(notification(Notification(site.bank.orders[-1]["codTrans"])))
    doors = Doors(books, load_settings(site.db), lambda: AT)
    books.sql.execute("PRAGMA busy_timeout = 1")
    with closing(sqlite3.connect(site.db, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(CentralError, match="not written") as caught:
            asyncio.run(doors.notified(request(body)))
        answer = asyncio.run(doors.failed(request(body), caught.value))
        other.execute("ROLLBACK")
    assert answer.status_code == 503
    assert asyncio.run(doors.notified(request(body))).status_code == 200
    assert balance_cents(books, "a-1001") == 2_000


def test_a_notice_shows_number_and_amount_in_two_languages_and_nothing_of_a_child(
    site: PaySite, books: FileBooks
) -> None:
    notice = site.notice("a-1001=12.50", "a-1002=7.50")
    italian, english = get(notice["link"]), get(notice["link"] + "?lang=en")
    assert "20,00 €" in italian.text and "€20.00" in english.text
    assert "Pay at the bank" in english.text
    labels = [str(row[0]) for row in books.rows("SELECT label FROM account WHERE label NOTNULL")]
    assert labels
    for text in (italian.text, english.text):
        assert "<script" not in text and "a-100" not in text
        assert not any(label in text for label in labels)


def test_a_typed_number_leads_to_its_notice(site: PaySite) -> None:
    notice = site.notice("a-1001=20.00")
    number = notice["notice"]
    typed = "+".join(number[n : n + 4] for n in range(0, 18, 4))
    assert get(f"{site.url}/notice?number={typed}&lang=it").url.startswith(notice["link"])
    for wrong in ("", "12", "3" * 18, "%00", "x" * 100):
        assert get(f"{site.url}/notice?number={wrong}").status == 404
    assert get(f"{site.url}/notice/{'3' * 18}").status == 404
    assert "18 cifre" in get(site.url).text


def test_numbers_cannot_be_enumerated(site: PaySite) -> None:
    statuses = [get(f"{site.url}/notice/{n:018d}").status for n in range(REQUESTS_MAX + 1)]
    assert statuses == [404] * REQUESTS_MAX + [429]
    notice = site.notice("a-1001=20.00")
    assert get(notice["link"]).status == 429, "a number that exists is answered like the others"
    through_proxy = urllib.request.Request(notice["link"], headers={"X-Forwarded-For": "192.0.2.9"})
    assert answer_to(through_proxy).status == 200, "clients of the proxy are counted each"


def test_a_notice_has_at_most_orders_max(site: PaySite, books: FileBooks) -> None:
    notice = site.notice("a-1001=20.00")
    with books.transaction():
        books.sql.executemany(
            "INSERT INTO reference VALUES (?, NULL, ?, 2000, '')",
            ((f"O{n}", notice["iuv"]) for n in range(ORDERS_MAX - 1)),
        )
    assert post(f"{notice['link']}/pay", b"", FORM).url.startswith(site.bank.url)
    assert post(f"{notice['link']}/pay", b"", FORM).status == 429


def test_a_form_leads_to_the_bank_and_nowhere_else(site: PaySite) -> None:
    headers = get(site.url).headers
    policy = headers["content-security-policy"]
    assert f"form-action 'self' {site.bank.url.removesuffix('/pay')};" in policy
    assert "script-src" not in policy and "default-src 'none'" in policy
    assert headers["referrer-policy"] == "no-referrer"
    assert "form-action 'self';" in security(None)["Content-Security-Policy"]
    contract = Pos("A", "https://bank.example:444/a/b", "")
    assert " https://bank.example:444;" in security(contract)["Content-Security-Policy"]
