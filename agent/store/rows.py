"""The rows of the terminal's database as named values."""

from dataclasses import dataclass, field

from agent.domain.canteen import AccountRecord, CardRecord
from agent.domain.clock import Day, Instant
from agent.domain.ledger import ChainEnd, Entry, Place
from agent.domain.tap import OwnMeal


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordRow:
    """A record as it came: `body` is its canonical JSON, None for a tombstone.

    One that is not readable stands beside the last version that was.
    """

    kind: str
    id: str
    p: int
    body: str | None
    is_readable: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteRow:
    """The central's remark on entry `seq` of the epoch that the message is about."""

    seq: int
    status: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LaterNote:
    """The central's whole present remark on an entry that it remarked on before, or did not.

    It applies to the entry with this hash alone. The status applied withdraws what was remarked.
    """

    entry: ChainEnd
    status: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """What a technician should know later.

    An incident about a write belongs into the transaction of that write, so neither exists without
    the other after a power cut. `at` is empty in a list, for a note whose entry was pruned.
    """

    at: str
    kind: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SetAside:
    """A message, or a record of one, that cannot be used, and why."""

    at: Instant
    topic: str
    payload: bytes
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownPlace:
    """Where this disk has an entry.

    `hash` is None where only the place is known: the entry was pruned.
    """

    place: Place
    hash: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochSpan:
    """The kept entries of one epoch: those after `base`, up to `end`."""

    number: int
    base: ChainEnd
    end: ChainEnd


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochCopy:
    """Entries of an epoch that another file held, proved by their hashes. They follow `base`."""

    base: ChainEnd
    entries: list["SealedBody"]


@dataclass(frozen=True, slots=True)
class Run:
    """Proved entries without a gap. `is_acked`: the central is known to have all of them."""

    copy: EpochCopy
    is_acked: bool


@dataclass(frozen=True, slots=True)
class AccountLine:
    """An account in a list for the staff. No money and no category."""

    account: str
    label: str | None
    group: str | None
    dish: str | None
    has_eaten: bool


@dataclass(frozen=True, slots=True)
class SealedBody:
    """An entry as the file keeps it: hash (32 bytes) and canonical JSON without the hash."""

    hash: bytes
    body: str


@dataclass(frozen=True, slots=True)
class Holder:
    """A card, its account, that account's balance in cents (0 without account), and its meals.

    `own_meals` are those of the service in question, of its day or of this boot.
    """

    card: CardRecord | None
    account: AccountRecord | None
    balance_cents: int
    own_meals: list[OwnMeal]


@dataclass(frozen=True, slots=True)
class MealsWanted:
    """Which meals may be the same meal: of a service, and of a day or from a place on.

    `since` is where this boot's last hours begin in the file.
    """

    service: str
    day: Day
    since: int


@dataclass(frozen=True, slots=True)
class EntryTime:
    """When an entry was made, by the clocks of its boot."""

    place: Place
    at: Instant
    mono_ms: int
    boot: str


@dataclass(frozen=True, slots=True)
class WrongTime:
    """Entries of one boot, from one place to another, whose time was found to be wrong.

    `judged_in` is the boot that found it.
    """

    first: Place
    last: Place
    boot: str
    judged_in: str

    def covers(self, place: Place) -> bool:
        """Return whether an entry is one of them."""
        return self.first <= place <= self.last


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedEntry:
    """An entry for a list, with what happened to it since."""

    epoch: str
    entry: Entry
    is_acked: bool
    is_undone: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Changeset:
    """What a `changes` message brings into the file, in one transaction.

    `acked` is what counts as booked, `h` what every record's balance contains. `reset` begins a
    resynchronisation; it ends when the position reaches `until`, the central's position when it
    began (None: with a message without `more`). Records that it did not name by then are removed.
    `unidentified` has the kind of each record without a usable id, None for one without a usable
    kind: it may name any such record. `notes` are all on entries behind `notes_after` up to `h`.
    """

    generation: str
    to: int
    acked: Place
    h: Place
    rows: list[RecordRow]
    notes_after: int
    notes: list[NoteRow]
    reset: bool
    more: bool
    until: int | None
    last_contact_at: Instant | None
    unreadable: list[SetAside]
    incident: Incident | None
    later_notes: list[LaterNote] = field(default_factory=list)
    unidentified: list[str | None] = field(default_factory=list)
    unknown_values: list[Incident] = field(default_factory=list)
