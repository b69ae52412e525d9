"""The words of a script about payments: notices, receipts, the bank's notifications, flows."""

from tests.parts.payment_messages import (
    CREDITOR,
    OTHER_CREDITOR,
    Notification,
    OldReceipt,
    Receipt,
    Transfer,
    default_namespace_receipt,
    notification,
    old_receipt,
    soap_receipt,
)
from tests.parts.settlement_messages import FlowMessage, flow_message
from tests.parts.settlement_messages import Row as FlowRow
from tests.simulation.payers import Booking, Message, Notice
from tests.simulation.payment_paper import Part, Report, Row
from tests.simulation.script import Step
from tests.simulation.words import Words

RECENT = 3  # of so many notices most steps choose, so that their effects meet
KILL_AFTER_MAX = 14  # statements of an intake
CHANGES = ("", "", "", "amount", "partly", "parts", "stranger", "unpaid", "unknown")
OUTCOMES = ("OK", "OK", "OK", "OK", "KO", "PEN", "other")


class PaymentWords(Words):
    def notice_given_out(self, step: Step) -> None:
        """The office gives out a notice, for one child or for two."""
        account, cents = self._account(step), 2 + step.a % 3_000
        other = self.office.sibling(account)
        parts: tuple[Part, ...] = (Part(account, cents),)
        if other is not None and step.b % 3 == 0:
            parts = tuple(sorted((Part(account, cents), Part(other, 1 + step.c % 900))))
        self.payers.give_out(parts)

    def order_stored(self, step: Step) -> None:
        """A family begins to pay a notice at the bank."""
        if notice := self._notice(step):
            self.payers.store_order(notice, _code(notice, step))

    def receipt(self, step: Step) -> None:
        """The node reports a payment; it may be another one, or changed, or partly ours."""
        if notice := self._notice(step):
            self.payers.send(_receipt(notice, step), is_late=step.a % 4 == 0)

    def bank_notifies(self, step: Step) -> None:
        """The bank reports an attempt to pay, perhaps before the order is stored."""
        if notice := self._notice(step):
            self.payers.send(_notification(notice, step), is_late=step.a % 4 == 0)

    def payment_again(self, step: Step) -> None:
        """A message about a payment arrives late, or again."""
        if sent := self.payers.sent:
            self.payers.arrive(sent[-1 - step.b % min(len(sent), 8)])

    def payment_killed(self, step: Step) -> None:
        """The process that takes a message about a payment is killed."""
        sent = [message for message in self.payers.sent if isinstance(message, Message)]
        if sent:
            message = sent[-1 - step.b % min(len(sent), 4)]
            self.payers.arrive_with_kill(message, step.c % KILL_AFTER_MAX)

    def flow(self, step: Step) -> None:
        """The treasury's flow settles a payment, or revokes it: all of it, or a part."""
        if notice := self._notice(step):
            number = len(self.payers.sent)
            self.payers.send(_flow(notice, number, step), is_late=step.a % 4 == 0)

    def missing_credited(self, step: Step) -> None:
        """The office credits a payment whose receipt is missing."""
        self.payers.credit_missing()

    def payment_decided(self, step: Step) -> None:
        """The office assigns a payment that waits, or ends it."""
        account = None if step.a % 4 == 0 else self._account(step)
        self.payers.decide(step.b, account)

    def payment_by_hand(self, step: Step) -> None:
        """The office books a payment of the bank by its command."""
        if notice := self._notice(step):
            part = Part(self._account(step), notice.cents)
            self.payers.send(Booking(_code(notice, step), part), is_late=False)

    def _notice(self, step: Step) -> Notice | None:
        notices = self.payers.notices
        few = notices if step.c % 5 == 0 else notices[-RECENT:]
        return few[step.b % len(few)] if few else None


def _euro(cents: int) -> str:
    return f"{cents // 100}.{cents % 100:02d}"


def _code(notice: Notice, step: Step) -> str:
    """Return one of the two order codes of a notice."""
    return f"ORDER{notice.number}X{step.b % 2}"


def _receipt(notice: Notice, step: Step) -> Message:
    """Return a receipt of a notice, one of two payments, in one of three forms."""
    change = CHANGES[step.b % len(CHANGES)]
    cents = notice.cents + (change == "amount")
    names = notice.iuv if change != "unknown" else f"9{notice.iuv[1:]}"
    transfers = [Transfer(_euro(cents), OTHER_CREDITOR if change == "stranger" else CREDITOR)]
    if change in ("partly", "parts"):
        transfers.append(Transfer("3.50", OTHER_CREDITOR))
    total = cents + (350 if change == "partly" else 0)
    outcome = "KO" if change == "unpaid" else "OK"
    name = f"{notice.iuv}-{step.c % 7 // 5}"
    given = Receipt(names, name, _euro(total), tuple(transfers), outcome)
    report = Report(
        f"{CREDITOR}:{name}" + ("#KO" if outcome == "KO" else ""),
        names,
        0 if change == "stranger" else cents,
        "paid" if outcome == "OK" else "not paid",
        {"parts": "parts_differ", "stranger": "not_ours"}.get(change, ""),
    )
    if change in ("", "amount", "unknown") and step.c % 3 == 0:
        older = OldReceipt(names, "0", _euro(cents), (_euro(cents),), name)
        return _message("file", old_receipt(older), report)
    write = soap_receipt if step.c % 2 else default_namespace_receipt
    return _message("soap", write(given), report)


def _message(door: str, body: bytes, report: Report) -> Message:
    return Message(door, body, report._replace(text=body))


def _notification(notice: Notice, step: Step) -> Message:
    code, outcome = _code(notice, step), OUTCOMES[step.c % len(OUTCOMES)]
    cents = notice.cents + (outcome == "other")
    given = Notification(
        code, "OK" if outcome == "other" else outcome, str(cents), f"12{step.a % 3:02d}00"
    )
    fields = notification(given)
    attempt = "" if given.outcome == "OK" else f"#{outcome}-{fields['data']}{fields['orario']}"
    stated = {"OK": "paid", "PEN": "undecided"}.get(given.outcome, "not paid")
    report = Report(code + attempt, code, cents, stated, text=repr(sorted(fields.items())).encode())
    return Message("bank", b"", report, fields)


def _flow(notice: Notice, number: int, step: Step) -> Message:
    """Return a flow of one payment, its revocation with either sign."""
    is_revoked = step.c % 3 > 0
    cents = notice.cents - (is_revoked and step.c % 7 == 0 and notice.cents > 1)
    name = f"{notice.iuv}-{step.c % 7 // 5}"
    euro = _euro(cents)
    sign = "-" if is_revoked and step.c % 2 else ""
    row = FlowRow(notice.iuv, name, sign + euro, "3" if is_revoked else "0")
    total = f"-{euro}" if is_revoked else euro
    body = flow_message(FlowMessage((row,), f"flow-{number}", total=total))
    return Message("flow", body, Row(f"{CREDITOR}:{name}", notice.iuv, cents, is_revoked))
