"""Rules in the books: in effect from a day on, and stored without the fields of a message."""

import json

import pytest
from sqlalchemy import select

from agent.central.books import rules, tables
from agent.central.books.database import Books
from agent.central.books.query import Query
from agent.central.books.rules import GIVE_BACK, Rules
from agent.domain.canteen import PolicyRecord, ServiceRecord, Shortage

OLD = Rules(PolicyRecord(from_day="2026-09-01", p=0, shortage=Shortage.REFUSE, floor=-500), "keep")
NEW = Rules(PolicyRecord(from_day="2027-01-01", p=0), GIVE_BACK)


@pytest.fixture
def books(either: Books) -> Books:
    return either


def test_the_newest_rules_in_effect_hold(books: Books) -> None:
    for each in (NEW, OLD):
        rules.put_policy(books, each)
    on_day = rules.rules_on(books, "2026-12-31")
    assert on_day.policy == PolicyRecord(
        from_day="2026-12-31", p=0, shortage=Shortage.REFUSE, floor=-500
    )
    assert on_day.double_meal == "keep"
    newest_first = [("2027-01-01", GIVE_BACK), ("2026-09-01", "keep")]
    assert rules.double_meal_rules(books) == newest_first


def test_without_a_policy_everybody_is_served_and_double_meals_are_given_back(
    books: Books,
) -> None:
    assert rules.rules_on(books, "2026-11-23") == Rules(
        PolicyRecord(from_day="2026-11-23", p=0), GIVE_BACK
    )
    assert rules.double_meal_rules(books) == []


def test_a_policy_of_the_same_day_replaces_the_one_before(books: Books) -> None:
    rules.put_policy(books, OLD)
    rules.put_policy(books, Rules(OLD.policy, GIVE_BACK))
    assert rules.double_meal_rules(books) == [("2026-09-01", GIVE_BACK)]


def test_a_body_has_neither_kind_nor_position(books: Books) -> None:
    rules.put_policy(books, OLD)
    lunch = ServiceRecord(id="lunch", p=0, name="Pranzo", opens="12:00", closes="14:15")
    rules.put_service(books, "primaria", lunch)
    for table in (tables.policy, tables.service):
        (row,) = books.all(Query(select(table.c.body)))
        assert not {"k", "p"} & json.loads(row[0]).keys()


def test_the_services_of_each_site_are_listed(books: Books) -> None:
    for site, service in (("primaria", "snack"), ("media", "lunch"), ("primaria", "lunch")):
        record = ServiceRecord(id=service, p=0, name="x", opens="12:00", closes="14:15")
        rules.put_service(books, site, record)
    assert rules.services(books) == {"media": ["lunch"], "primaria": ["lunch", "snack"]}
