"""One terminal's database without a terminal, and rows for it."""

from collections.abc import Sequence
from dataclasses import dataclass

from msgspec.structs import replace

from agent.domain.clock import ClockTrust
from agent.domain.ledger import Entry, How, Kind, Place, Reversed
from agent.store import writes
from agent.store.database import Database
from agent.store.rows import Changeset, Incident, NoteRow, RecordRow, SetAside

TOWN, TERMINAL = "borgo", "t-1"
EPOCH = "1-0123456789abcdef"
EPOCH_BITS = "fedcba9876543210"
GENERATION = "c0ffee" * 4
AT = "2026-11-23T11:02:05.331Z"
DAY = "2026-11-23"
FAR_FUTURE = "2027-01-01T00:00:00.000Z"
FAR = 2**60  # a place behind every entry
NEW_EPOCH = Incident(at=AT, kind="new_epoch", detail="by order o-2")


@dataclass
class Disk:
    """A database, with the writes that most tests need."""

    db: Database

    def meal(self, account: str = "a-1", cents: int = -366, day: str = DAY, at: str = AT) -> Entry:
        return writes.append(self.db, meal(account, cents, day, at))

    def changes(self, *rows: RecordRow, to: int, acked: int, reset: bool = False) -> int:
        return self.apply(changeset(rows, to=to, acked=Place(1, acked), reset=reset))

    def apply(self, changes: Changeset) -> int:
        return writes.apply_changes(self.db, changes)


def changeset(
    rows: Sequence[RecordRow] = (),
    *,
    to: int,
    acked: Place = Place(1, 0),  # noqa: B008  # frozen
    reset: bool = False,
    notes: Sequence[NoteRow] = (),
) -> Changeset:
    return Changeset(
        generation=GENERATION,
        to=to,
        acked=acked,
        h=acked,
        rows=list(rows),
        notes_after=0,
        notes=list(notes),
        reset=reset,
        more=False,
        until=None,
        last_contact_at=AT,
        unreadable=[],
        incident=None,
    )


def meal(account: str = "a-1", cents: int = -366, day: str = DAY, at: str = AT) -> Entry:
    return Entry(
        kind=Kind.MEAL,
        cents=cents,
        at=at,
        clock=ClockTrust.SYNCED,
        boot="b",
        mono_ms=1,
        how=How.CARD,
        account=account,
        service="lunch",
        day=day,
    )


def storno(undone: Entry, epoch: str = EPOCH) -> Entry:
    reverses = Reversed(epoch=epoch, seq=undone.seq, hash=undone.hash)
    return replace(undone, kind=Kind.STORNO, cents=-undone.cents, reverses=reverses, seq=0, hash="")


def account(name: str, balance: int, p: int, label: str = "") -> RecordRow:
    label_member = f'"label":"{label}",' if label else ""
    body = f'{{"balance":{balance},"id":"{name}","k":"account",{label_member}"p":{p}}}'
    return RecordRow(kind="account", id=name, p=p, body=body)


def card(token: str, account_id: str, p: int) -> RecordRow:
    body = f'{{"account":"{account_id}","id":"{token}","k":"card","p":{p}}}'
    return RecordRow(kind="card", id=token, p=p, body=body)


def policy(p: int, keep_days: int = 60) -> RecordRow:
    body = f'{{"from":"2026-09-01","k":"policy","keep_days":{keep_days},"p":{p}}}'
    return RecordRow(kind="policy", id="2026-09-01", p=p, body=body)


def set_aside(payload: bytes = b"?", topic: str = "t", at: str = AT) -> SetAside:
    return SetAside(at=at, topic=topic, payload=payload, reason="not a message")


def change_entries(db: Database, statement: str, *values: object) -> None:
    """Damage the ledger with a statement that the schema's trigger would refuse."""
    db.sql.execute("DROP TRIGGER IF EXISTS entry_never_changes")
    db.sql.execute(statement, values)
