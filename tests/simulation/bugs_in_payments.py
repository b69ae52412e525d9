"""Planted bugs of payments: agent/central/payments, and the office's credits. Data."""

from tests.simulation.planted_bug import Bug, Change

INTAKE = "agent/central/payments/intake.py"
RULING = "agent/central/payments/ruling.py"
PAYMENT_BUGS = (
    Bug(
        "a second payment of a notice is credited",
        Change(RULING, "    if standing.credited is not None:\n", "    if False:\n"),
    ),
    Bug(
        "a payment of another amount is credited",
        Change(
            RULING,
            "    if reported.cents != standing.reference.cents:\n",
            "    if False:\n",
        ),
    ),
    Bug(
        "the part of another creditor is credited",
        Change(
            "agent/central/payments/receipt.py",
            "        if is_ours and is_school_meals(",
            "        if is_school_meals(",
        ),
    ),
    Bug(
        "a payment before its order waits for ever",
        Change(
            INTAKE,
            "in payments.waiting_for(books, reference.id, Park.UNKNOWN_REFERENCE):\n",
            "in list[StoredPayment]():\n",
        ),
    ),
    Bug(
        "a revoked amount with a minus sign is not taken back",
        Change(
            "agent/central/payments/settlement.py",
            "        cents=abs(amount),\n",
            "        cents=amount,\n",
        ),
    ),
    Bug(
        "a revoked payment is taken back from one account of two",
        Change(
            "agent/central/payments/settling.py",
            "in postings.find_payments(books, PaymentKey(CHANNEL, row.external)):\n",
            "in postings.find_payments(books, PaymentKey(CHANNEL, row.external))[:1]:\n",
        ),
    ),
    Bug(
        "a payment is kept in one transaction and credited in another",
        Change(
            INTAKE,
            "    if ruling.result is Result.CREDITED:\n        reference =",
            '    books.sql.execute("COMMIT")\n'
            '    books.sql.execute("BEGIN IMMEDIATE")\n'
            "    if ruling.result is Result.CREDITED:\n        reference =",
        ),
    ),
    Bug(
        "a payment that waits is booked by hand, and assigned",
        Change(
            "agent/central/office/credit.py",
            "            require_unreported(books, payment.key)\n",
            "",
        ),
    ),
)
