"""Answers what the staff look up at the counter: classes, children, one child's credit."""

from itertools import islice

import msgspec

from agent.domain.canteen import ServiceNow, policy_on
from agent.domain.card import card_token
from agent.domain.clock import Day, Moment
from agent.domain.printed import candidates
from agent.errors import AgentError, CardError
from agent.ops.control_messages import Credit, Eater
from agent.store import lookup, reads
from agent.store.rows import AccountLine
from agent.terminal.control import Answer
from agent.terminal.counter import Counter

TEXT_CHARACTERS_MAX = 64  # more than a name has
CARDS_MAX = 1_000  # a printed number of eight digits may be that of 65,536 cards: then write more


class Lookups:
    """Lookups at one counter. Labels are in an answer only where the town sends them."""

    def __init__(self, counter: Counter) -> None:
        self._counter = counter
        self._db = counter.db

    def classes(self) -> Answer:
        """Return how many accounts each class has."""
        return {"classes": lookup.classes(self._db)}

    def members(self, group: str, day: Day | None, moment: Moment) -> Answer:
        """Return who of a class has eaten, today or on a day. Raise `AgentError`."""
        service = self._counter.service_of(day, moment)
        lines = lookup.members(self._db, group, service.service, service.day)
        return self._eaters(lines, service.day)

    def search(self, text: str, moment: Moment) -> Answer:
        """Return whom a text names. Raise `AgentError`."""
        service = self._counter.service_of(None, moment)
        return self._eaters(self._search(text.strip(), service), service.day)

    def credit(self, account: str, moment: Moment) -> Answer:
        """Return one child's credit. Raise `AgentError`."""
        self._counter.lock.person(moment)
        return msgspec.structs.asdict(self._credit(account))

    def _eaters(self, lines: list[AccountLine], day: Day) -> Answer:
        has_labels = policy_on(reads.policies(self._db), day).labels == "short"
        eaters = [
            Eater(
                account=line.account,
                label=line.label if has_labels else None,
                group=line.group,
                dish=line.dish,
                eaten=line.has_eaten,
            )
            for line in lines
        ]
        return {"eaters": msgspec.to_builtins(eaters)}

    def _search(self, text: str, service: ServiceNow) -> list[AccountLine]:
        if not 0 < len(text) <= TEXT_CHARACTERS_MAX:
            raise AgentError(f"write 1 to {TEXT_CHARACTERS_MAX} characters of a name or a number")
        lines = lookup.named(self._db, text, service.service, service.day)
        if lines or not any(letter.isdigit() for letter in text):
            return lines
        try:
            cards = list(islice(candidates(text), CARDS_MAX + 1))
        except CardError:
            return []
        if len(cards) > CARDS_MAX:
            raise AgentError(f"{text}: may be printed on many cards; write all numbers of the card")
        tokens = [card_token(self._counter.card_key, card) for card in cards]
        return lookup.holders(self._db, tokens, service.service, service.day)

    def _credit(self, account: str) -> Credit:
        record = reads.account(self._db, account)
        cents = reads.balance_cents(self._db, account)
        if record is None or cents is None:
            raise AgentError(f"this terminal has no account {account}")
        last = record.last_credit
        return Credit(
            account=account,
            cents=cents,
            last_credit_cents=last.cents if last else None,
            last_credit_at=last.at if last else None,
            last_credit_channel=last.channel if last else None,
        )
