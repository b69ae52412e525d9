"""The feed: every record of a site, by the position of its newest change."""

from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from agent.central.books.file import Books
from agent.central.books.meals import STANDS
from agent.central.books.town import sends_labels
from agent.domain.canteen import (
    AccountRecord,
    AccountStatus,
    CardRecord,
    CardStatus,
    Category,
    GoneRecord,
    LastCredit,
    LastMeal,
    Price,
)
from agent.domain.ledger import canonical
from agent.sync.records import NoteRecord

POSITION_MAX = 2**53
"""The largest position the contract allows (domain/canteen.py, `Position`)."""

# A site has thousands of records: a look-up costs a tenth of an enum's call.
_ACCOUNT_STATUS = {status.value: status for status in AccountStatus}
_CARD_STATUS = {status.value: status for status in CardStatus}
_CATEGORY = {category.value: category for category in Category}
_last_meal = msgspec.json.Decoder(LastMeal).decode
_last_credit = msgspec.json.Decoder(LastCredit).decode

# Records since a position are read by position, all records of a site by account: the planner
# cannot know which set is smaller.
_CARDS_SINCE = "card INDEXED BY card_by_position CROSS JOIN account ON account.id = card.account"
_CARDS_OF_SITE = "account CROSS JOIN card ON card.account = account.id"
_KEPT_REMARKS = "remark r JOIN chain c USING (terminal, epoch)"


class FeedRecord(NamedTuple):
    """One record as a terminal sees it. `body` is its canonical JSON."""

    position: int
    kind: str
    body: bytes


class Reader(NamedTuple):
    """Who reads the feed: a terminal, and its site."""

    terminal: str
    site: str


class Interval(NamedTuple):
    """The records of a site with a position above `after`, up to `to`."""

    site: str
    after: int
    to: int = POSITION_MAX


def find(books: Books, interval: Interval) -> list[FeedRecord]:
    """Return all records of an interval, by position.

    From position 0 on there are no tombstones: a blank terminal has nothing to delete.
    """
    records = [*_accounts(books, interval), *_cards(books, interval), *_rules(books, interval)]
    if interval.after > 0:
        records += _tombstones(books, interval)
    return sorted(records)


def remarks(books: Books, terminal: str, after: int, to: int) -> list[FeedRecord]:
    """Return the remarks that changed in (`after`, `to`], on entries that the terminal keeps."""
    return [
        FeedRecord(
            p,
            "note",
            canonical(
                NoteRecord(
                    id=f"{epoch}-{seq}-{digest[:8]}",
                    p=p,
                    epoch=epoch,
                    seq=seq,
                    hash=digest,
                    status=status,
                    reason=reason,
                )
            ),
        )
        for p, epoch, seq, digest, status, reason in books.rows(
            f"SELECT r.p, r.epoch, r.seq, r.hash, e.status, e.reason FROM {_KEPT_REMARKS}"
            " JOIN entry e USING (terminal, epoch, seq, hash)"
            " WHERE r.terminal = ? AND r.p > ? AND r.p <= ? AND r.seq >= c.oldest",
            (terminal, after, to),
        )
    ]


def position_of(books: Books, reader: Reader, after: int, number: int) -> int:
    """Return the position of the record that has `number` others before it after a position.

    Return `POSITION_MAX` when there are fewer.
    """
    row = books.row(
        "SELECT p FROM (SELECT p FROM account WHERE site = ?1 AND p > ?2"
        f" UNION ALL SELECT card.p FROM {_CARDS_SINCE} WHERE account.site = ?1 AND card.p > ?2"
        " UNION ALL SELECT p FROM policy WHERE p > ?2"
        " UNION ALL SELECT p FROM service WHERE site = ?1 AND p > ?2"
        " UNION ALL SELECT p FROM tombstone WHERE site = ?1 AND p > ?2 AND ?2 > 0"
        f" UNION ALL SELECT r.p FROM {_KEPT_REMARKS}"
        " WHERE r.terminal = ?4 AND r.p > ?2 AND r.seq >= c.oldest)"
        " ORDER BY p LIMIT 1 OFFSET ?3",
        (reader.site, after, number, reader.terminal),
    )
    return int(row[0]) if row else POSITION_MAX


def _accounts(books: Books, interval: Interval) -> Iterator[FeedRecord]:
    prices: dict[str, list[Price]] = {}
    for account, service, day, cents in books.rows(
        "SELECT price.account, service, from_day, cents"
        " FROM account JOIN price ON price.account = account.id"
        " WHERE site = ? AND p > ? AND p <= ? ORDER BY price.account, service, from_day",
        interval,
    ):
        prices.setdefault(account, []).append(Price(from_day=day, service=service, cents=cents))
    with_labels = sends_labels(books)
    for account, p, balance, status, category, group, label, dish, meal, credit in books.rows(
        "SELECT id, p, balance, status, category, class, label, dish,"
        " (SELECT json_object('day', true_day, 'service', service, 'terminal', terminal)"
        " FROM entry m WHERE m.account = account.id AND true_day IS NOT NULL AND dated = 1"
        f" AND kind IN ('meal', 'unknown_meal') AND {STANDS}"
        " ORDER BY true_day DESC, true_at DESC LIMIT 1),"
        " (SELECT json_object('cents', cents, 'at', at, 'channel', channel) FROM posting"
        " WHERE posting.account = account.id AND kind = 'top_up' ORDER BY n DESC LIMIT 1)"
        " FROM account WHERE site = ? AND p > ? AND p <= ?",
        interval,
    ):
        record = AccountRecord(
            id=account,
            p=p,
            balance=balance,
            prices=prices.get(account, []),
            status=_ACCOUNT_STATUS[status],
            category=_CATEGORY[category],
            group=group,
            label=label if with_labels else None,
            dish=dish,
            last_meal=_last_meal(meal) if meal else None,
            last_credit=_last_credit(credit) if credit else None,
        )
        yield FeedRecord(p, "account", canonical(record))


def _cards(books: Books, interval: Interval) -> Iterator[FeedRecord]:
    tables = _CARDS_SINCE if interval.after else _CARDS_OF_SITE
    for p, token, account, status in books.rows(
        f"SELECT card.p, token, account, card.status FROM {tables}"
        " WHERE account.site = ? AND card.p > ? AND card.p <= ?",
        interval,
    ):
        record = CardRecord(id=token, p=p, account=account, status=_CARD_STATUS[status])
        yield FeedRecord(p, "card", canonical(record))


def _rules(books: Books, interval: Interval) -> Iterator[FeedRecord]:
    policies = books.rows("SELECT p, body FROM policy WHERE p > ? AND p <= ?", interval[1:])
    services = books.rows(
        "SELECT p, body FROM service WHERE site = ? AND p > ? AND p <= ?", interval
    )
    for kind, rows in (("policy", policies), ("service", services)):
        for p, body in rows:
            members = {**msgspec.json.decode(body), "k": kind, "p": p}
            yield FeedRecord(p, kind, canonical(members))


def _tombstones(books: Books, interval: Interval) -> Iterator[FeedRecord]:
    for p, kind, record_id in books.rows(
        "SELECT p, kind, id FROM tombstone WHERE site = ? AND p > ? AND p <= ?", interval
    ):
        yield FeedRecord(p, "gone", canonical(GoneRecord(of=kind, id=record_id, p=p)))
