"""What is stored of why a payment is parked."""

from agent.central.payments.reported import WORDS, Park


def test_a_sentence_names_what_the_office_does() -> None:
    for park in Park:
        assert any(verb in WORDS[park] for verb in ("assign", "refund", "reject", "ask"))
