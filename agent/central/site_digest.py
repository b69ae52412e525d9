"""The digest of each site, kept up with what changed: a whole site is read once in a generation.

Every record has the position of its newest change, and what leaves a site leaves a tombstone there.
So the records behind a position are all that a digest of that position lacks.
"""

import hashlib
from typing import NamedTuple

import msgspec

from agent.central.books import records
from agent.central.books.database import Books
from agent.central.books.records import FeedRecord, Interval
from agent.central.books.town import Standing
from agent.sync.messages import Digest

_MODULUS = 2**64


class _Name(msgspec.Struct):
    """What names a record: its id, or the day of a policy; of a deleted one also its kind."""

    id: str = ""
    of: str = ""
    day: str = msgspec.field(default="", name="from")
    balance: int = 0


class _Part(NamedTuple):
    """What a record adds to the digest."""

    sum: int
    cents: int


_name = msgspec.json.Decoder(_Name).decode


class SiteDigests:
    """Digests of the sites of one central."""

    def __init__(self) -> None:
        self._sites: dict[str, _Site] = {}

    def of(self, books: Books, site: str | None, standing: Standing) -> Digest:
        """Return a site's digest; None is the site of a retired terminal, which has no record.

        The caller's transaction holds all reads.
        """
        if site is None:
            return _Site(standing.generation).digest(standing.position)
        kept = self._sites.get(site)
        if kept is None or not kept.precedes(standing):
            kept = self._sites[site] = _Site(standing.generation)
        if kept.position < standing.position:
            kept.take(records.find(books, Interval(site, kept.position, standing.position)))
            kept.position = standing.position
        return kept.digest(standing.position)


class _Site:
    def __init__(self, generation: str) -> None:
        self.position = 0
        self._generation = generation
        self._parts: dict[tuple[str, str], _Part] = {}
        self._accounts = self._cards = self._cents = self._sum = 0

    def precedes(self, standing: Standing) -> bool:
        """Return whether what is kept was true once in this generation."""
        return self._generation == standing.generation and self.position <= standing.position

    def take(self, changed: list[FeedRecord]) -> None:
        """Take in records that changed, by position."""
        for record in changed:
            name = _name(record.body)
            if record.kind == "gone":
                self._put(name.of, name.id, None)
                continue
            number = int.from_bytes(hashlib.sha256(record.body).digest()[:8])
            self._put(record.kind, name.id or name.day, _Part(number, name.balance))

    def digest(self, position: int) -> Digest:
        return Digest(
            position=position,
            accounts=self._accounts,
            cards=self._cards,
            cents=self._cents,
            sum=f"{self._sum % _MODULUS:016x}",
        )

    def _put(self, kind: str, name: str, part: _Part | None) -> None:
        before = self._parts.pop((kind, name), None)
        for each, sign in ((before, -1), (part, 1)):
            if each is not None:
                self._sum += sign * each.sum
                self._cents += sign * each.cents
                self._accounts += sign * (kind == "account")
                self._cards += sign * (kind == "card")
        if part is not None:
            self._parts[kind, name] = part
