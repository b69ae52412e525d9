"""What can go wrong, one exception a room; each message is one sentence a technician understands.

A child without credit is not an error: refusals are values (`domain/tap.py`).
"""


class AgentError(Exception):
    """Anything that ends a command with a sentence. `exit_code` is what the process ends with."""

    exit_code = 1


class ConfigError(AgentError):
    """agent.toml, a profile or a secret is wrong. systemd does not restart on 78 (EX_CONFIG of sysexits.h)."""

    exit_code = 78


class ProfileError(ConfigError):
    """A firmware profile is wrong or unknown."""


class CardError(AgentError):
    """A text that is no card id."""


class ReaderError(AgentError):
    """A reader is gone, blocked or answered nonsense."""


class StoreError(AgentError):
    """The terminal's database cannot be read, written or trusted."""


class UncertainCommitError(StoreError):
    """An entry's commit failed, and could not be looked for yet: it may be there. `place` and `digest` are its own."""

    def __init__(self, sentence: str, place: int, digest: bytes) -> None:
        super().__init__(sentence)
        self.place, self.digest = place, digest


class DamagedError(StoreError):
    """The terminal's file is damaged: it is kept under another name, and another begun."""


class RecordError(StoreError):
    """A record of the central's cannot be read any more: it is forgotten, and all are asked for anew."""

    def __init__(self, kind: str, record_id: str, why: Exception) -> None:
        super().__init__(f"the {kind} {record_id} cannot be read any more: {why}")
        self.kind, self.id = kind, record_id


class SyncError(AgentError):
    """A message or the link to the broker is not usable."""


class CentralError(AgentError):
    """The central's database or an office command cannot do what was asked."""
