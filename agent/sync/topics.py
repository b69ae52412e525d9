"""The topics of the contract (PROTOCOL.md, "Transport"), made and taken apart in one place."""

from dataclasses import dataclass
from enum import StrEnum

ROOT = "canteen/v1"


class Leaf(StrEnum):
    HELLO = "hello"
    ENTRIES = "entries"
    STATE = "state"
    CHANGES = "changes"


_LEAVES = {leaf.value: leaf for leaf in Leaf}


@dataclass(frozen=True, slots=True)
class Topics:
    """The topics of one town."""

    town: str

    def of(self, terminal: str, leaf: Leaf) -> str:
        return f"{ROOT}/{self.town}/t/{terminal}/{leaf}"

    @property
    def central_state(self) -> str:
        return f"{ROOT}/{self.town}/central/state"

    def read_by_terminal(self, terminal: str) -> list[str]:
        return [self.of(terminal, Leaf.CHANGES), self.central_state]

    def read_by_central(self) -> list[str]:
        return [self.of("+", leaf) for leaf in (Leaf.HELLO, Leaf.ENTRIES, Leaf.STATE)]

    def parse(self, topic: str) -> tuple[str, Leaf] | None:
        """Return (terminal, leaf) of a terminal's topic in this town, None for any other."""
        prefix = f"{ROOT}/{self.town}/t/"
        terminal, _, leaf = topic.removeprefix(prefix).partition("/")
        if not topic.startswith(prefix) or leaf not in _LEAVES:
            return None
        return terminal, _LEAVES[leaf]
