"""The feed's records: of one site, by position, each in its newest form."""

import json

from agent.central.books import accounts, cards, records, rules, tombstones, town
from agent.central.books.accounts import Account
from agent.central.books.cards import Card
from agent.central.books.file import FileBooks
from agent.central.books.records import POSITION_MAX, Interval, Reader
from agent.central.books.rules import GIVE_BACK, Rules
from agent.domain.canteen import PolicyRecord, ServiceRecord
from agent.domain.card import Token
from tests.parts.foreign_terminal import ForeignTerminal, meal
from tests.parts.wire import SITE


def token(account: str) -> Token:
    return Token(account.encode().hex().rjust(32, "0"))


def names(books: FileBooks, interval: Interval) -> list[str]:
    found = records.find(books, interval)
    bodies = [json.loads(record.body) for record in found]
    assert [record.position for record in found] == [body["p"] for body in bodies]
    assert [record.kind for record in found] == [body["k"] for body in bodies]
    return [f"{body['k']} {body.get('id', body.get('from'))}" for body in bodies]


def fill(books: FileBooks) -> None:
    """Write one record of each kind for primaria, and one account and card elsewhere."""
    with books.transaction():
        for account, site in (("a-1", SITE), ("a-2", "media")):
            accounts.add(books, Account(account, site, "pupil", "active"))
            cards.put(books, Card(token(account), account, "active"))
        rules.put_policy(books, Rules(PolicyRecord(from_day="2026-09-01", p=0), GIVE_BACK))
        lunch = ServiceRecord(id="lunch", p=0, name="Pranzo", opens="12:00", closes="14:15")
        rules.put_service(books, SITE, lunch)
        tombstones.add(books, SITE, "account", "a-9")


def test_a_site_sees_its_own_records_and_the_towns_rules(books: FileBooks) -> None:
    fill(books)
    assert names(books, Interval(SITE, 0)) == [
        "account a-1",
        f"card {token('a-1')}",
        "policy 2026-09-01",
        "service lunch",
    ]
    assert names(books, Interval("media", 0))[0] == "account a-2"
    assert "service lunch" not in names(books, Interval("media", 0))


# C44
def test_tombstones_are_only_for_those_who_have_records(books: FileBooks) -> None:
    fill(books)
    assert "gone a-9" not in names(books, Interval(SITE, 0))
    assert names(books, Interval(SITE, 1))[-1] == "gone a-9"


def test_an_interval_leaves_out_its_beginning_and_has_its_end(books: FileBooks) -> None:
    fill(books)
    everything = records.find(books, Interval(SITE, 1))
    middle = everything[1].position
    later = records.find(books, Interval(SITE, middle))
    earlier = records.find(books, Interval(SITE, 1, middle))
    assert [*earlier, *later] == everything and len(earlier) == 2


def test_the_position_of_a_record_by_number_ends_a_chunk(books: FileBooks) -> None:
    fill(books)
    positions = [record.position for record in records.find(books, Interval(SITE, 1))]
    assert records.position_of(books, Reader("t-1", SITE), 1, 2) == positions[2]
    assert records.position_of(books, Reader("t-1", SITE), 1, len(positions)) == POSITION_MAX


def test_a_record_changed_again_is_there_once_in_its_newest_form(books: FileBooks) -> None:
    fill(books)
    accounts.move_balances(books, {"a-1": 500})
    (record,) = [each for each in records.find(books, Interval(SITE, 0)) if each.kind == "account"]
    assert record.position == town.standing(books).position
    assert json.loads(record.body)["balance"] == 500


def test_an_account_has_its_newest_standing_meal_and_its_newest_top_up(
    foreign: ForeignTerminal,
) -> None:
    foreign.central.credit("a-1", 1_000, "r-1")
    foreign.central.credit("a-1", 2_000, "r-2")
    foreign.central.credit("a-1", -100, "refund")
    foreign.send(meal(day="2026-11-20"), meal())
    foreign.send(foreign.storno(2))
    found = records.find(foreign.central.books, Interval(SITE, 0))
    accounts_only = [json.loads(each.body) for each in found if each.kind == "account"]
    (body,) = [each for each in accounts_only if each["id"] == "a-1"]
    assert body["last_meal"]["day"] == "2026-11-20"
    assert body["last_credit"]["cents"] == 2_000


def test_a_label_is_in_a_record_only_while_labels_are_sent(books: FileBooks) -> None:
    with books.transaction():
        accounts.add(books, Account("a-1", SITE, "pupil", "active", label="Nora K."))
    assert b"Nora" not in records.find(books, Interval(SITE, 0))[0].body
    town.set_labels(books, True)
    assert b"Nora K." in records.find(books, Interval(SITE, 0))[0].body


def test_a_family_is_in_no_record(books: FileBooks) -> None:
    with books.transaction():
        accounts.add(books, Account("a-1", SITE, "pupil", "active", family="f-123"))
    (record,) = records.find(books, Interval(SITE, 0))
    assert b"f-123" not in record.body and b"family" not in record.body
