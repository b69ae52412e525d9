"""Notices a central that answers hellos wrongly, so that a person reads why nothing is taken.

A message that a terminal refuses may only be late. It is the central's fault when it repeats the
nonce of the newest hello, or when it repeats no nonce and the same refusal comes again and again.
"""

from agent.domain.ledger import ChainEnd, Place
from agent.store.cache import Standing
from agent.store.rows import Changeset
from agent.sync.messages import Changes, Hello
from agent.terminal.decision import Row

REFUSALS_MAX = 3  # of messages without a nonce; two late ones in a row are rare


class Answers:
    """What the newest hello asked, and what was refused since the last message that was taken."""

    def __init__(self) -> None:
        self._nonce: str | None = None
        self._before: ChainEnd | None = None
        self._counts: dict[str, int] = {}
        self._reported: set[str] = set()

    def asked(self, hello: Hello) -> None:
        """Note a hello that is sent."""
        self._nonce, self._before = hello.nonce, hello.before

    def taken(self, changes: Changeset) -> str | None:
        """Note a message that was taken; return what is wrong with it, once."""
        self._counts.clear()
        rules = {"C73"} & self._reported
        self._reported = rules
        if changes.acked == changes.h:
            rules.clear()
            return None
        return self._once("C73", _beyond(changes.acked, changes.h))

    def refused(self, row: Row, message: Changes, own: Standing) -> str | None:
        """Note a message that is refused; return what is wrong with the central, once."""
        is_answer = message.nonce is not None and message.nonce == self._nonce
        if message.nonce is not None and not is_answer:
            return None  # it answers an earlier hello: late
        count = self._counts[row.rule] = self._counts.get(row.rule, 0) + 1
        is_sure = is_answer or count >= REFUSALS_MAX
        # A new epoch since the hello moves what `before` must be.
        if not row.fault or not is_sure or self._before != own.previous:
            return None
        fault = row.fault.format(acked=message.acked, generation=message.generation[:8])
        return self._once(row.rule, f"the central's answer {fault} (rule {row.rule})")

    def _once(self, rule: str, sentence: str) -> str | None:
        if rule in self._reported:
            return None
        self._reported.add(rule)
        return sentence


def _beyond(sent: Place, acked: Place) -> str:
    return (
        f"the central acknowledges entry {acked.seq}, and entry {sent.seq} is the newest that was"
        " sent; the others are sent now. Unless the office imported this terminal's ledger, the"
        " central is at fault (rule C73)"
    )
