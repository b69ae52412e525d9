"""The feed: every record of a site, by the position of its newest change."""

from collections.abc import Iterator
from typing import NamedTuple

import msgspec
from sqlalchemy import select, union_all
from sqlalchemy.sql.elements import ColumnElement

from agent.central.books import tables
from agent.central.books.database import Books
from agent.central.books.meals import IS_MEAL, MEAL, STANDS
from agent.central.books.query import Query, object_of, unindexed, value
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

_A, _C, _R = tables.account.c, tables.card.c, tables.remark.c
_CHAIN, _E, _P = tables.chain.c, tables.entry.c, tables.posting.c
_T, _S, _PRICE = tables.tombstone.c, tables.service.c, tables.price.c
_SITE, _AFTER, _TO = value("site"), value("after"), value("to")


def _between(position: ColumnElement[int]) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return position > _AFTER, position <= _TO


# The chain says which remarks the terminal still needs.
_IS_KEPT = (
    _R.terminal == value("terminal"),
    _CHAIN.terminal == _R.terminal,
    _CHAIN.epoch == _R.epoch,
    _R.seq >= _CHAIN.oldest,
)
_REMARKS = Query(
    select(_R.p, _R.epoch, _R.seq, _R.hash, _E.status, _E.reason).where(
        *_IS_KEPT,
        *_between(_R.p),
        _E.terminal == _R.terminal,
        _E.epoch == _R.epoch,
        _E.seq == _R.seq,
        _E.hash == _R.hash,
    )
)
_OF_CARD = _A.id == _C.account
# Records since a position are read by position, all records of a site by account: the planner
# cannot know which set is smaller.
_CARD = select(_C.p, _C.token, _C.account, _C.status).where(_OF_CARD)
_CARDS_SINCE = Query(_CARD.where(unindexed(_A.site) == _SITE, *_between(_C.p)))
_CARDS_OF_SITE = Query(_CARD.where(_A.site == _SITE, *_between(unindexed(_C.p))))
_POSITIONS = union_all(
    select(_A.p.label("p")).where(_A.site == _SITE, _A.p > _AFTER),
    select(_C.p).where(_OF_CARD, unindexed(_A.site) == _SITE, _C.p > _AFTER),
    select(tables.policy.c.p).where(tables.policy.c.p > _AFTER),
    select(_S.p).where(_S.site == _SITE, _S.p > _AFTER),
    select(_T.p).where(_T.site == _SITE, _T.p > _AFTER, _AFTER > 0),
    select(_R.p).where(*_IS_KEPT, _R.p > _AFTER),
).subquery()
_POSITION = Query(select(_POSITIONS.c.p).order_by(_POSITIONS.c.p).limit(1).offset(value("number")))
_PRICES = Query(
    select(_PRICE.account, _PRICE.service, _PRICE.from_day, _PRICE.cents)
    .where(_PRICE.account == _A.id, _A.site == _SITE, *_between(_A.p))
    .order_by(_PRICE.account, _PRICE.service, _PRICE.from_day)
)
_M = MEAL.c
_LAST_MEAL = (
    select(object_of(day=_M.true_day, service=_M.service, terminal=_M.terminal))
    .where(_M.account == _A.id, _M.true_day.is_not(None), _M.dated == 1, IS_MEAL, STANDS)
    .order_by(  # two meals of one instant, too, in the same order each time
        *(_M.true_day.desc(), _M.true_at.desc().nulls_last()),
        *(_M.terminal.desc(), _M.epoch.desc(), _M.seq.desc(), _M.hash.desc()),
    )
    .limit(1)
    .scalar_subquery()
)
_LAST_CREDIT = (
    select(object_of(cents=_P.cents, at=_P.at, channel=_P.channel))
    .where(_P.account == _A.id, _P.kind == "top_up")
    .order_by(_P.n.desc())
    .limit(1)
    .scalar_subquery()
)
_ACCOUNTS = Query(
    select(
        *(_A.id, _A.p, _A.balance, _A.status, _A.category, _A["class"], _A.label, _A.dish),
        _LAST_MEAL,
        _LAST_CREDIT,
    ).where(_A.site == _SITE, *_between(_A.p))
)
_POLICIES = Query(
    select(tables.policy.c.p, tables.policy.c.body).where(*_between(tables.policy.c.p))
)
_SERVICES = Query(select(_S.p, _S.body).where(_S.site == _SITE, *_between(_S.p)))
_TOMBSTONES = Query(select(_T.p, _T.kind, _T.id).where(_T.site == _SITE, *_between(_T.p)))


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
        for p, epoch, seq, digest, status, reason in books.all(
            _REMARKS, terminal=terminal, after=after, to=to
        )
    ]


def position_of(books: Books, reader: Reader, after: int, number: int) -> int:
    """Return the position of the record that has `number` others before it after a position.

    Return `POSITION_MAX` when there are fewer.
    """
    row = books.first(_POSITION, **reader._asdict(), after=after, number=number)
    return int(row[0]) if row else POSITION_MAX


def _accounts(books: Books, interval: Interval) -> Iterator[FeedRecord]:
    prices: dict[str, list[Price]] = {}
    for account, service, day, cents in books.all(_PRICES, **interval._asdict()):
        prices.setdefault(account, []).append(Price(from_day=day, service=service, cents=cents))
    with_labels = sends_labels(books)
    for account, p, balance, status, category, group, label, dish, meal, credit in books.all(
        _ACCOUNTS, **interval._asdict()
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
    query = _CARDS_SINCE if interval.after else _CARDS_OF_SITE
    for p, token, account, status in books.all(query, **interval._asdict()):
        record = CardRecord(id=token, p=p, account=account, status=_CARD_STATUS[status])
        yield FeedRecord(p, "card", canonical(record))


def _rules(books: Books, interval: Interval) -> Iterator[FeedRecord]:
    policies = books.all(_POLICIES, **interval._asdict())
    services = books.all(_SERVICES, **interval._asdict())
    for kind, rows in (("policy", policies), ("service", services)):
        for p, body in rows:
            members = {**msgspec.json.decode(body), "k": kind, "p": p}
            yield FeedRecord(p, kind, canonical(members))


def _tombstones(books: Books, interval: Interval) -> Iterator[FeedRecord]:
    for p, kind, record_id in books.all(_TOMBSTONES, **interval._asdict()):
        yield FeedRecord(p, "gone", canonical(GoneRecord(of=kind, id=record_id, p=p)))
