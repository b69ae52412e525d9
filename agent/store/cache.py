"""What the database keeps in memory between two writes, and the only code that changes it.

The main loop's connection is the only writer, so what it read stays true until it writes again.
"""

from collections.abc import Callable
from typing import NamedTuple

import msgspec

from agent.domain.canteen import PolicyRecord, ServiceRecord
from agent.domain.ledger import ChainEnd, Place


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """Where this terminal stands with the central.

    `epoch` is the one being sent: the newest, unless entries of an earlier epoch are unacknowledged
    (the central lost them). `oldest` is its first kept seq, `end` its newest entry, `acked` the
    newest acknowledged one. `previous` is the newest kept entry of the epochs before it, None if
    there is none. `mark` is the newest acknowledged place as received. `pending` counts all
    unacknowledged entries of all epochs. A wiped terminal takes no record.
    """

    town: str
    terminal: str
    epoch: str
    epoch_number: int
    is_newest: bool
    oldest: int
    end: ChainEnd
    acked: ChainEnd
    previous: ChainEnd | None
    mark: Place
    pending: int
    generation: str | None
    position: int
    resyncing: bool
    last_contact_at: str | None
    order_done: str | None
    is_wiped: bool

    @property
    def keeps_earlier_epochs(self) -> bool:
        """Return whether entries of an epoch before the newest are still on this disk."""
        return not self.is_newest or self.previous is not None


class Tail(NamedTuple):
    """The entry that the next one follows: its place, its hash, and the id of its epoch."""

    place: Place
    hash: str
    epoch: str


class Cache:
    """Owned by `Database`, which clears it with every transaction.

    `keeps` is False for a reader: another process may write to its file at any time.
    """

    def __init__(self, *, keeps: bool) -> None:
        self._keeps = keeps
        self.clear()

    def clear(self) -> None:
        """Forget everything: the next read asks the file."""
        self._standing: Standing | None = None
        self._tail: Tail | None = None
        self._policies: list[PolicyRecord] | None = None
        self._services: list[ServiceRecord] | None = None

    def appended(self, tail: Tail) -> None:
        """Follow one appended entry, so that the next tap does not read these again."""
        if self._tail is None:
            return  # the file was opened again during the append: everything is read again
        self._tail = tail
        if self._standing is not None:
            self._standing = _after(self._standing, tail)

    def standing(self, read: Callable[[], Standing]) -> Standing:
        standing = read() if self._standing is None else self._standing
        self._standing = standing if self._keeps else None
        return standing

    def tail(self, read: Callable[[], Tail]) -> Tail:
        tail = read() if self._tail is None else self._tail
        self._tail = tail if self._keeps else None
        return tail

    def policies(self, read: Callable[[], list[PolicyRecord]]) -> list[PolicyRecord]:
        policies = read() if self._policies is None else self._policies
        self._policies = policies if self._keeps else None
        return policies

    def services(self, read: Callable[[], list[ServiceRecord]]) -> list[ServiceRecord]:
        services = read() if self._services is None else self._services
        self._services = services if self._keeps else None
        return services


def _after(standing: Standing, tail: Tail) -> Standing:
    end = standing.end
    if standing.is_newest:
        end = ChainEnd(epoch=standing.epoch, seq=tail.place.seq, hash=tail.hash)
    return msgspec.structs.replace(standing, end=end, pending=standing.pending + 1)
