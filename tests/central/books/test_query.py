"""Queries: the same rows on both engines, from SQL that each of them can plan."""

import pytest
from sqlalchemy import literal_column, select, update

from agent.central.books import query, tables
from agent.central.books.database import Books
from agent.central.books.query import (
    POSTGRESQL,
    SQLITE,
    Query,
    adding,
    among,
    contains,
    member,
    names,
    object_of,
    part,
    put,
    rows_of,
    tuples,
    unindexed,
    value,
)

_CARD = tables.card.c
_ROWS = [("c-1", "a-1", "active", 1), ("c-2", "a-2", "blocked", 2), ("c'3", "a-1", "active", 3)]
_COLUMNS = ("token", "account", "status", "p")


@pytest.fixture
def cards(either: Books) -> Books:
    with either.transaction():
        either.add_all(tables.card, _COLUMNS, _ROWS)
    return either


def test_values_have_names_and_any_order(cards: Books) -> None:
    found = Query(
        select(_CARD.token).where(_CARD.account == value("account"), _CARD.p > value("above"))
    )
    assert cards.all(found, above=1, account="a-1") == [("c'3",)]


def test_a_value_that_is_missing_is_an_error(cards: Books) -> None:
    with pytest.raises(KeyError, match="token"):
        cards.all(Query(select(_CARD.p).where(_CARD.token == value("token"))))


def test_a_constant_is_part_of_the_sql_so_that_a_partial_index_serves(cards: Books) -> None:
    found = Query(select(_CARD.token).where(_CARD.status == "active", _CARD.p == value("p")))
    for dialect in (SQLITE, POSTGRESQL):
        statement, bind = found.on(dialect)
        assert "'active'" in statement
        assert bind({"p": 3}) == (3,)
    assert cards.all(found, p=3) == [("c'3",)]


def test_a_row_is_put_in_place_of_one_with_its_key(cards: Books) -> None:
    with cards.transaction():
        cards.run(put(tables.card), token="c-1", account="a-9", status="replaced", p=7)
        cards.run(put(tables.card), token="c-4", account="a-9", status="active", p=8)
    found = Query(select(_CARD.token, _CARD.p).where(_CARD.account == "a-9").order_by(_CARD.p))
    assert cards.all(found) == [("c-1", 7), ("c-4", 8)]


def test_rows_have_the_order_of_the_columns_that_are_named(either: Books) -> None:
    with either.transaction():
        either.add_all(tables.card, ("p", "status", "account", "token"), [(1, "active", "a", "c")])
        either.run(adding(tables.card, _COLUMNS), p=2, token="d", status="active", account="b")
    found = Query(select(_CARD.token, _CARD.account).order_by(_CARD.p))
    assert either.all(found) == [("c", "a"), ("d", "b")]


def test_a_bulk_update_changes_each_row(cards: Books) -> None:
    moved = Query(update(tables.card).values(p=value("new_p")).where(_CARD.token == value("of")))
    with cards.transaction():
        cards.run_all(moved, ({"of": token, "new_p": p} for token, p in (("c-1", 8), ("c-2", 9))))
    assert cards.all(Query(select(_CARD.p).order_by(_CARD.p))) == [(3,), (8,), (9,)]


def test_many_values_are_one_value(cards: Books) -> None:
    found = Query(select(_CARD.token).where(among(_CARD.token, "tokens")).order_by(_CARD.token))
    assert cards.all(found, tokens=names(["c-2", "c'3", "none"])) == [("c'3",), ("c-2",)]
    assert cards.all(found, tokens=names([])) == []


def test_many_tuples_are_one_value(cards: Books) -> None:
    pairs = rows_of("pairs")
    found = Query(
        select(_CARD.token)
        .select_from(pairs)
        .join(tables.card, (_CARD.account == part(pairs, 0)) & (_CARD.status == part(pairs, 1)))
        .order_by(_CARD.token)
    )
    assert cards.all(found, pairs=tuples([("a-1", "active"), ("a-2", "active")])) == [
        ("c'3",),
        ("c-1",),
    ]


def test_a_member_of_stored_json_is_read_whatever_else_is_in_it(either: Books) -> None:
    """A terminal may send any JSON, with a zero character too, which PostgreSQL cannot store."""
    body = '{"account":"a-1","note":"\\u0000","deep":{"x":1}}'
    with either.transaction():
        either.add_all(
            tables.service, ("site", "id", "body", "p"), [("s", "1", body, 1), ("s", "2", "{}", 2)]
        )
    of = tables.service.c
    account = Query(select(member(of.body, "account")).order_by(of.id))
    assert either.all(account) in ([("a-1",), (None,)], [(None,), (None,)])


@pytest.mark.parametrize(("text", "is_in"), [("no_price", True), ("NO_PRICE", False)])
def test_a_text_is_looked_for_letter_by_letter(either: Books, text: str, is_in: bool) -> None:
    found = Query(select(literal_column("1")).where(contains(literal_column("'a,no_price'"), text)))
    assert (either.first(found) is not None) is is_in


def test_an_object_is_made_of_columns(cards: Books) -> None:
    made = Query(select(object_of(token=_CARD.token, p=_CARD.p)).where(_CARD.p == 1))
    (text,) = cards.only(made)
    assert text.replace(" ", "") == '{"token":"c-1","p":1}'


def test_a_column_may_be_kept_from_the_planner_of_sqlite(cards: Books) -> None:
    found = Query(select(_CARD.token).where(unindexed(_CARD.p) == 2))
    assert "+card.p" in found.on(SQLITE)[0]
    assert "+" not in found.on(POSTGRESQL)[0]
    assert cards.all(found) == [("c-2",)]


def test_a_query_is_compiled_once_for_each_engine() -> None:
    found = Query(select(_CARD.token))
    assert found.on(SQLITE) is found.on(SQLITE)
    assert found.on(SQLITE) is not found.on(POSTGRESQL)
    assert query.adding(tables.card, _COLUMNS) is query.adding(tables.card, _COLUMNS)
