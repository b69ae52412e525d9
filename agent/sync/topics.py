"""The topics and identities of the contract (PROTOCOL.md, "Transport")."""

from dataclasses import dataclass
from enum import StrEnum

ROOT = "canteen/v1"
IDENTITY_CHARACTERS_MAX = 64
"""X.509 allows no more in a common name, and an identity is the name in its client's certificate.
"""


class Leaf(StrEnum):
    """The last level of a terminal's topic."""

    HELLO = "hello"
    ENTRIES = "entries"
    STATE = "state"
    CHANGES = "changes"


_LEAVES = {leaf.value: leaf for leaf in Leaf}


def identity_fault(identity: str) -> str | None:
    """Return why no certificate can be made for an identity, None if one can."""
    if len(identity) <= IDENTITY_CHARACTERS_MAX:
        return None
    return (
        f"the identity {identity} has {len(identity)} characters, and the name in a certificate"
        f" at most {IDENTITY_CHARACTERS_MAX}; write a shorter id"
    )


@dataclass(frozen=True, slots=True)
class Topics:
    """The topics of one town, and the identities under which its programs connect.

    An identity is the MQTT client id and the common name of the TLS certificate. It holds town and
    terminal, so two towns on one broker never disconnect each other, and the broker's access list
    needs no town: a topic is `canteen/v1/<identity>/<leaf>`.
    """

    town: str

    @property
    def central_identity(self) -> str:
        return f"{self.town}/central"

    @property
    def central_state(self) -> str:
        return f"{ROOT}/{self.central_identity}/state"

    def identity(self, terminal: str) -> str:
        return f"{self.town}/t/{terminal}"

    def of(self, terminal: str, leaf: Leaf) -> str:
        return f"{ROOT}/{self.identity(terminal)}/{leaf}"

    def read_by_terminal(self, terminal: str) -> list[str]:
        return [self.of(terminal, Leaf.CHANGES), self.central_state]

    def read_by_central(self) -> list[str]:
        return [self.of("+", leaf) for leaf in (Leaf.HELLO, Leaf.ENTRIES, Leaf.STATE)]

    def parse(self, topic: str) -> tuple[str, Leaf] | None:
        """Return (terminal, leaf) of a terminal's topic in this town, None for any other topic."""
        prefix = f"{ROOT}/{self.town}/t/"
        terminal, _, leaf = topic.removeprefix(prefix).partition("/")
        if not topic.startswith(prefix) or leaf not in _LEAVES:
            return None
        return terminal, _LEAVES[leaf]
