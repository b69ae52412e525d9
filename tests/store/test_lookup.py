"""Lists for the staff: bounded, in every script, and never broken by a damaged row."""

import json

import pytest

from agent.store import lookup
from tests.parts.wire import Wire


def search(wire: Wire, text: str) -> list[str]:
    return [line.account for line in lookup.named(wire.box.db, text, "lunch", "2026-11-23")]


def add_accounts(wire: Wire, count: int) -> None:
    """Write so many records of one class, with names of every kind."""
    names = ["Ànna B.", "D'Angelo M.", '"Zoë" 🙂', "مريم ك.", "De Luca P."]
    with wire.box.db.transaction() as sql:
        for n in range(count):
            label = f"{names[n % len(names)]} {n}"
            body = (
                f'{{"balance":0,"group":"9Z","id":"b-{n}","k":"account",'
                f'"label":{json.dumps(label, ensure_ascii=False)},"p":1}}'
            )
            sql.execute(
                "INSERT INTO record (kind, id, p, h, named, body)"
                " VALUES ('account', ?, 1, 0, 0, ?)",
                (f"b-{n}", body),
            )


def test_a_class_and_a_search_have_a_bounded_answer(wire: Wire) -> None:
    add_accounts(wire, lookup.CLASS_MAX + 10)
    members = lookup.members(wire.box.db, "9Z", "lunch", "2026-11-23")
    assert len(members) == lookup.CLASS_MAX
    assert len(search(wire, "9z")) == lookup.MATCHES_MAX


@pytest.mark.parametrize("text", ["àNNA", "d'angelo", '"zoë"', "🙂", "مريم", "de luca"])
def test_a_name_is_matched_in_every_script_and_case(wire: Wire, text: str) -> None:
    add_accounts(wire, 10)
    assert len(search(wire, text)) == 2


def test_a_damaged_record_is_in_no_list_and_breaks_none(wire: Wire) -> None:
    wire.box.db.sql.execute("PRAGMA ignore_check_constraints = 1")
    with wire.box.db.transaction() as sql:
        sql.execute("UPDATE record SET body = body || '}' WHERE id = 'a-2'")
    assert search(wire, "a-") == ["a-1"] and lookup.classes(wire.box.db) == {"1A": 1}
