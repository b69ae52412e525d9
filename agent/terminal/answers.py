"""Notices a central that answers hellos wrongly, so that a person reads why nothing is taken.

A message that a terminal refuses may only be late. It is the central's fault when it repeats the
nonce of the newest hello, or when it repeats no nonce and refusals alone follow several hellos.
"""

from agent.domain.ledger import ChainEnd, Place
from agent.store.cache import Standing
from agent.store.rows import Changeset
from agent.sync.messages import Changes, Hello
from agent.terminal.decision import Row

REFUSALS_MAX = 3  # hellos after which only refused messages came, all without a nonce


class Answers:
    """What the newest hello asked, and what was refused since the last message that was taken."""

    def __init__(self) -> None:
        self._nonce: str | None = None
        self._asked_from: tuple[str | None, ChainEnd | None] = (None, None)
        self._counts: dict[str, int] = {}
        self._counted: set[str] = set()  # since the newest hello
        self._reported: set[str] = set()

    def asked(self, hello: Hello) -> None:
        """Note a hello that is sent."""
        self._nonce = hello.nonce
        self._asked_from = hello.generation, hello.before
        self._counted.clear()

    def taken(self, changes: Changeset) -> str | None:
        """Note a message that was taken; return what is wrong with it, once."""
        self._counts.clear()
        self._counted.clear()
        rules = {"C73"} & self._reported
        self._reported = rules
        if changes.acked == changes.h:
            rules.clear()
            return None
        return self._once("C73", _beyond(changes.acked, changes.h))

    def refused(self, row: Row, message: Changes, own: Standing) -> str | None:
        """Note a message that is refused; return what is wrong with the central, once."""
        is_answer = message.nonce is not None and message.nonce == self._nonce
        if not is_answer and (message.nonce is not None or not _looks_like_an_answer(message)):
            return None  # it answers an earlier hello, or none
        if row.rule not in self._counted:
            self._counted.add(row.rule)
            self._counts[row.rule] = self._counts.get(row.rule, 0) + 1
        is_sure = is_answer or self._counts[row.rule] >= REFUSALS_MAX
        # A new generation or epoch since the hello changes what its answer must be.
        is_as_asked = self._asked_from == (own.generation, own.previous)
        if not row.fault or not is_sure or not is_as_asked:
            return None
        fault = row.fault.format(acked=message.acked, generation=message.generation[:8])
        return self._once(row.rule, f"the central's answer {fault} (rule {row.rule})")

    def _once(self, rule: str, sentence: str) -> str | None:
        if rule in self._reported:
            return None
        self._reported.add(rule)
        return sentence


def _looks_like_an_answer(message: Changes) -> bool:
    """Return whether a message without nonce may answer a hello, and is not only pushed."""
    return message.digest is not None or message.reset


def _beyond(sent: Place, acked: Place) -> str:
    return (
        f"the central acknowledges entry {acked.seq}, and entry {sent.seq} is the newest that was"
        " sent; the others are sent now. Unless the office imported this terminal's ledger, the"
        " central is at fault (rule C73)"
    )
