"""One exception for each room. A message is one sentence for a technician: what, where, what to do.

A child without credit is not an error: refusals are values (`domain/tap.py`).
"""

REASON_LENGTH_MAX = 200
"""Bytes of one reason in JSON: a decoder's message may quote all of what it read."""


class AgentError(Exception):
    """Ends a command with its sentence. `exit_code` is the exit code of the process."""

    exit_code = 1


class ConfigError(AgentError):
    """agent.toml, a profile or a secret is wrong. systemd does not restart on 78 (EX_CONFIG)."""

    exit_code = 78


class ProfileError(ConfigError):
    """A firmware profile is wrong or unknown."""


class CardError(AgentError):
    """A text is not a card id, a printed number or a card key."""


class ReaderError(AgentError):
    """A reader is missing, blocked, or sent an answer that is not in its protocol."""


class StoreError(AgentError):
    """The terminal's database cannot be read, written or trusted."""


class UncertainCommitError(StoreError):
    """The commit of an entry failed, and nobody can tell yet whether the entry is on the disk.

    Epoch, seq and hash name the entry, whatever number its epoch has in the file.
    """

    def __init__(self, sentence: str, *, epoch: str, seq: int, digest: str) -> None:
        super().__init__(sentence)
        self.epoch, self.seq, self.digest = epoch, seq, digest


class RefusedEntryError(StoreError):
    """The file works but refuses this entry: it breaks a limit, or is a second meal or storno."""


class RoomMadeError(StoreError):
    """The disk was full, nothing was written, and now there is room from the reserve: try again."""


class DamagedError(StoreError):
    """The terminal's file is damaged: it gets a second name, and a new file takes its place."""


class RecordError(StoreError):
    """A record in the terminal's file is unreadable: it is deleted and requested again."""

    def __init__(self, kind: str, record_id: str, why: Exception) -> None:
        super().__init__(f"the record of {kind} {record_id} cannot be read: {why}")
        self.kind, self.id = kind, record_id


class SyncError(AgentError):
    """A message or the link to the broker is not usable."""


class CentralError(AgentError):
    """The central's database or an office command cannot do what was asked."""


def cut_reason(text: str) -> str:
    """Return a text of at most `REASON_LENGTH_MAX` characters, each of one byte in JSON.

    A quoted character that JSON writes with more bytes becomes a question mark.
    """
    return "".join(
        char if " " <= char <= "~" and char not in '"\\' else "?"
        for char in text[:REASON_LENGTH_MAX]
    )
