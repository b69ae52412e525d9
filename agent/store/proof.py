"""Proves entries of any origin by their hashes: each hash covers the entry before it.

Entries come from tables, or were found in raw bytes. Two chains cannot be mistaken for each other:
the first hash of an epoch is made from town, terminal and epoch. Pure.
"""

import hashlib

import msgspec

from agent.domain.ledger import ChainEnd, Count
from agent.store.rows import EpochCopy, SealedBody


class _Numbered(msgspec.Struct, frozen=True):
    seq: Count


_numbered = msgspec.json.Decoder(_Numbered)


def hash_of(previous: bytes, body: str) -> bytes:
    """Return the hash of an entry that follows the entry with hash `previous`."""
    return hashlib.sha256(previous + body.encode()).digest()


class Pool:
    """Entries that are not proved yet, by their seq. Those up to seq `wiped_to` are left out."""

    def __init__(self, wiped_to: int = 0) -> None:
        self._wiped_to = wiped_to
        self._at: dict[int, set[SealedBody]] = {}

    def add(self, sealed: SealedBody) -> None:
        """Add an entry; none if its text has no seq."""
        try:
            seq = _numbered.decode(sealed.body).seq
        except msgspec.MsgspecError:
            return
        if seq > self._wiped_to:
            self._at.setdefault(seq, set()).add(sealed)

    def after(self, base: bytes, seq: int) -> list[SealedBody]:
        """Return the longest chain of entries that follows entry `seq` with hash `base`.

        A copied disk makes two chains from one entry; of two that are equally long, either.
        """
        levels: list[dict[bytes, tuple[bytes, SealedBody]]] = []
        ends = {base}
        while ends:
            level = {
                sealed.hash: (end, sealed)
                for sealed in self._at.get(seq + len(levels) + 1, ())
                for end in ends
                if hash_of(end, sealed.body) == sealed.hash
            }
            levels.append(level)
            ends = set(level)
        chain = []
        wanted = next(iter(levels[-2]), b"") if len(levels) > 1 else b""
        for level in reversed(levels[:-1]):
            wanted, sealed = level[wanted]
            chain.append(sealed)
        return chain[::-1]

    def runs_behind(self, end: ChainEnd) -> list[EpochCopy]:
        """Return the proved runs of entries behind a place from which the chain does not go on.

        Each begins behind an entry that cannot be proved itself, since the one before is missing.
        """
        runs, proved_to = [], end.seq
        for seq in sorted(self._at):
            if seq <= proved_to:
                continue
            for sealed in self._at[seq]:
                base = ChainEnd(epoch=end.epoch, seq=seq, hash=sealed.hash.hex())
                entries = self.after(sealed.hash, seq)
                if seq + len(entries) > max(seq, proved_to):
                    runs.append(EpochCopy(base=base, entries=entries))
                    proved_to = seq + len(entries)
        return runs

    def count_behind(self, seq: int) -> int:
        """Return how many places behind `seq` have an entry."""
        return sum(1 for known in self._at if known > seq)
